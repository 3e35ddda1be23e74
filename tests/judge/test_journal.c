/* The journal: whole lines alone, one writer, and what a torn end or a full disk leaves. */
#include "judge/journal.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct heard {
    char text[4096]; /* "1:first|2:second|" */
    attune_status status;
} heard;

static attune_status hear(void *user, const char *line, size_t size, size_t number)
{
    heard *h = user;
    const size_t length = strlen(h->text);
    snprintf(h->text + length, sizeof(h->text) - length, "%zu:%.*s|", number, (int)size, line);
    return h->status;
}

/* What all of these files begin with, where they are torn in their first line. */
static const char head[] = "{\"a\":1}";

static attune_journal *open_file(heard *h, const char *path, size_t *torn)
{
    attune_journal *journal = NULL;
    *h = (heard){0};
    assert_ok(attune_journal_open(&journal, path, head, hear, h, torn));
    return journal;
}

Test(journal, grows)
{
    char *path = temporary_path("j");
    size_t torn = 0, size = 0;
    heard h;
    attune_journal *journal = open_file(&h, path, &torn);
    cr_assert(attune_journal_is_empty(journal));
    cr_assert_eq(attune_journal_append(journal, "first"), ATTUNE_OK);
    cr_assert(!attune_journal_is_empty(journal));
    attune_journal_close(journal);
    journal = open_file(&h, path, &torn);
    cr_assert_str_eq(h.text, "1:first|");
    cr_assert_eq(attune_journal_append(journal, "second"), ATTUNE_OK);
    h = (heard){0};
    cr_assert_eq(attune_journal_read(path, head, hear, &h), ATTUNE_OK);
    cr_assert_str_eq(h.text, "1:first|2:second|");
    attune_journal_close(journal);
    char *text = read_file(path, &size);
    cr_assert_str_eq(text, "first\nsecond\n");
    free(text);
    free(path);
}

/* Cut anywhere, whole lines stay, and what is appended stands in a line of its own. */
Test(journal, torn)
{
    static const char whole[] = "{\"a\":1}\n{\"b\":22}\n{\"c\":333}\n";
    char *path = temporary_path("j");
    for (size_t cut = 0; cut < sizeof(whole); cut++) {
        size_t torn = 0, size = 0;
        heard h;
        write_file(path, whole, cut);
        attune_journal *journal = open_file(&h, path, &torn);
        cr_assert_eq(attune_journal_append(journal, "{}"), ATTUNE_OK);
        attune_journal_close(journal);
        char *text = read_file(path, &size);
        const size_t kept = cut - torn;
        cr_assert(kept == 0 || whole[kept - 1] == '\n', "cut at %zu keeps %zu", cut, kept);
        cr_assert(!memchr(whole + kept, '\n', torn), "cut at %zu keeps %zu", cut, kept);
        cr_assert(size == kept + 3 && memcmp(text, whole, kept) == 0 &&
                  memcmp(text + kept, "{}\n", 3) == 0);
        free(text);
    }
    free(path);
}

Test(journal, one_writer)
{
    char *path = temporary_path("j");
    size_t torn = 0;
    heard h;
    attune_journal *journal = open_file(&h, path, &torn), *other = NULL;
    cr_assert_eq(attune_journal_open(&other, path, head, hear, &h, &torn), ATTUNE_ESTOPPED);
    cr_assert_null(other);
    attune_journal_close(journal);
    journal = open_file(&h, path, &torn);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(attune_journal_append(journal, "lost"), ATTUNE_EIO, "into a file without a name");
    attune_journal_close(journal);
    cr_assert_eq(attune_journal_open(&other, "/no/such/folder/j", head, hear, &h, &torn),
                 ATTUNE_ECREATE);
    cr_assert_eq(attune_journal_open(&other, temporary_folder(), head, hear, &h, &torn),
                 ATTUNE_ECREATE);
    cr_assert_eq(attune_journal_read(path, head, hear, &h), ATTUNE_ENOINPUT);
    free(path);
}

/* A start that fails leaves no file, but for one that was there. */
Test(journal, discarded)
{
    char *path = temporary_path("j");
    attune_journal *other = NULL;
    size_t torn = 0;
    heard h;
    attune_journal *journal = open_file(&h, path, &torn);
    cr_assert_eq(attune_journal_open(&other, path, head, hear, &h, &torn), ATTUNE_ESTOPPED);
    cr_assert_eq(access(path, F_OK), 0, "the one who came second removed it");
    cr_assert_eq(attune_journal_append(journal, "head"), ATTUNE_OK);
    attune_journal_discard(journal);
    cr_assert_neq(access(path, F_OK), 0);
    attune_journal_close(open_file(&h, path, &torn));
    attune_journal_discard(open_file(&h, path, &torn));
    cr_assert_eq(access(path, F_OK), 0);
    attune_journal_discard(NULL);
    free(path);
}

/* What refuses a line is passed on, and nothing is cut off then. */
Test(journal, refused)
{
    char *path = temporary_path("j");
    attune_journal *journal = NULL;
    size_t torn = 0, size = 0;
    heard h = {.status = ATTUNE_EDATA};
    write_file(path, "one\ntwo\nthr", 11);
    cr_assert_eq(attune_journal_open(&journal, path, head, hear, &h, &torn), ATTUNE_EDATA);
    cr_assert_null(journal);
    cr_assert_str_eq(h.text, "1:one|");
    free(read_file(path, &size));
    cr_assert_eq(size, 11);
    free(path);
}

/* What has no whole line and is no part of the head is another's file, and left as it is. */
Test(journal, foreign)
{
    static const char *const foreign[] = {"mine", "{\"a\":2", "{\"a\":1}x", " {\"a\":1}"};
    char *path = temporary_path("j");
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        attune_journal *journal = NULL;
        size_t torn = 0, size = 0;
        heard h = {0};
        write_file(path, foreign[i], strlen(foreign[i]));
        assert_fails(attune_journal_read(path, head, hear, &h), ATTUNE_EDATA,
                     "no file of judgements");
        assert_fails(attune_journal_open(&journal, path, head, hear, &h, &torn), ATTUNE_EDATA,
                     "no file of judgements");
        char *text = read_file(path, &size);
        cr_assert_str_eq(text, foreign[i]);
        free(text);
    }
    free(path);
}

/* A limit on file size stands for a full disk: the line that did not fit leaves nothing, and there
 * is a next one when there is room. */
Test(journal, full)
{
    char *path = temporary_path("j"), line[301];
    struct rlimit limit;
    size_t torn = 0, size = 0;
    heard h;
    signal(SIGXFSZ, SIG_IGN);
    memset(line, 'x', 300);
    line[300] = '\0';
    attune_journal *journal = open_file(&h, path, &torn);
    getrlimit(RLIMIT_FSIZE, &limit);
    const struct rlimit small = {1000, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int kept = 0;
    while (attune_journal_append(journal, line) == ATTUNE_OK) {
        kept++;
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(kept, 3);
    free(read_file(path, &size));
    cr_assert_eq(size, 903);
    cr_assert_eq(attune_journal_append(journal, "there is room"), ATTUNE_OK);
    attune_journal_close(journal);
    free(read_file(path, &size));
    cr_assert_eq(size, 903 + 14);
    free(path);
}
