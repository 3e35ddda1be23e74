/* Who is asked what: queues, votes, orders, repeats, in memory. */
#include "judge/panel.h"
#include "judge/record.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `rows` threes of songs 3 r, 3 r + 1, 3 r + 2, all asked. */
static void open_panel(attune_panel *panel, attune_threes *threes, uint32_t rows, uint32_t votes,
                       uint32_t repeat)
{
    char name[16];
    *threes = (attune_threes){.count = rows};
    threes->rows = calloc(rows, sizeof(*threes->rows));
    for (uint32_t r = 0; r < rows; r++) {
        threes->rows[r].given = ATTUNE_NO_CHOICE;
        for (uint32_t i = 0; i < 3; i++) {
            snprintf(name, sizeof(name), "%u", 3 * r + i);
            cr_assert_eq(attune_names_add(&threes->rows[r].song[i], &threes->songs, name),
                         ATTUNE_OK);
        }
    }
    const attune_panel_options options = {.votes = votes, .repeat = repeat, .seed = 7};
    cr_assert_eq(attune_panel_create(panel, threes, &options), ATTUNE_OK);
    memset(panel->asked, true, rows);
}

static void close_panel(attune_panel *panel, attune_threes *threes)
{
    attune_panel_free(panel);
    attune_threes_free(threes);
}

static uint32_t add(attune_panel *panel, const char *name)
{
    cr_assert_eq(attune_panel_add(panel, name), ATTUNE_OK);
    return panel->listener_count;
}

static void take(attune_panel *panel, uint32_t listener, attune_task task, int choice)
{
    const attune_answer answer = {.row = task.row,
                                  .repeat = task.repeat,
                                  .skipped = choice < 0,
                                  .choice = attune_choice_of(choice < 0 ? 0 : choice)};
    cr_assert(attune_panel_is_open(panel, listener, task));
    cr_assert_eq(attune_panel_reserve(panel, listener), ATTUNE_OK);
    attune_panel_take(panel, listener, &answer);
}

/* What is before a listener now. */
static bool next(attune_task *out, attune_panel *panel, uint32_t listener, double now)
{
    const bool found = attune_panel_next(panel, listener, NULL, now);
    *out = found ? panel->listeners[listener - 1].before[0] : (attune_task){UINT32_MAX, false};
    return found;
}

Test(panel, choices)
{
    for (int i = 0; i < 6; i++) {
        const attune_choice choice = attune_choice_of(i);
        cr_assert_eq(attune_choice_index(choice), i);
        const int low = choice.anchor < choice.positive ? choice.anchor : choice.positive;
        const int high = choice.anchor + choice.positive - low;
        cr_assert_eq(i / 2, low == 1 ? 2 : high - 1, "pairs in the order 1,2 1,3 2,3");
    }
}

/* What most say, by brute force over all votes of up to four listeners. */
Test(panel, majority)
{
    for (int code = 0; code < 6 * 6 * 6 * 6; code++) {
        for (int voters = 1; voters <= 4; voters++) {
            attune_panel panel;
            attune_threes threes;
            int pairs[3] = {0}, orders[6] = {0};
            open_panel(&panel, &threes, 1, 1, 0);
            for (int v = 0, rest = code; v < voters; v++, rest /= 6) {
                char name[2] = {(char)('a' + v), '\0'};
                take(&panel, add(&panel, name), (attune_task){0, false}, rest % 6);
                pairs[rest % 6 / 2]++;
                orders[rest % 6]++;
            }
            int best = -1;
            for (int k = 0; k < 3; k++) {
                const bool most = pairs[k] > pairs[(k + 1) % 3] && pairs[k] > pairs[(k + 2) % 3];
                best = most ? k : best;
            }
            const attune_choice got = attune_panel_majority(&panel, 0);
            const int expected =
                best < 0 ? -1 : 2 * best + (orders[2 * best + 1] > orders[2 * best]);
            cr_assert(best < 0 ? got.anchor < 0 : attune_choice_index(got) == expected,
                      "votes %d of %d", code, voters);
            close_panel(&panel, &threes);
        }
        code += 12; /* a thirteenth of all: coprime to 6 */
    }
}

/* Each listener's order of a row is one of six, all about as often; the same again and again. */
Test(panel, orders)
{
    enum { ROWS = 3000 };
    attune_panel panel;
    attune_threes threes;
    int counts[27] = {0}, same = 0;
    open_panel(&panel, &threes, ROWS, 1, 0);
    add(&panel, "a");
    add(&panel, "b");
    for (uint32_t r = 0; r < ROWS; r++) {
        uint8_t one[3], again[3], other[3], repeat[3];
        attune_panel_order(one, &panel, 1, (attune_task){r, false});
        attune_panel_order(again, &panel, 1, (attune_task){r, false});
        attune_panel_order(other, &panel, 2, (attune_task){r, false});
        attune_panel_order(repeat, &panel, 1, (attune_task){r, true});
        cr_assert(memcmp(one, again, 3) == 0 && (1 << one[0] | 1 << one[1] | 1 << one[2]) == 7);
        counts[9 * one[0] + 3 * one[1] + one[2]]++;
        same += memcmp(one, other, 3) == 0;
        same += memcmp(one, repeat, 3) == 0;
    }
    for (int i = 0; i < 27; i++) { /* 500 of each, a standard deviation of 20 */
        cr_assert(counts[i] == 0 || abs(counts[i] - 500) < 100, "order %d: %d times", i, counts[i]);
    }
    cr_assert(abs(same - 1000) < 150, "%d of 6000 the same", same);
    close_panel(&panel, &threes);
}

/* Two at once are not given the last vote of one row; what was begun is completed first. */
Test(panel, votes)
{
    enum { ROWS = 30, PEOPLE = 7, VOTES = 3 };
    attune_panel panel;
    attune_threes threes;
    attune_task task, current[PEOPLE];
    uint64_t seed = 3;
    open_panel(&panel, &threes, ROWS, VOTES, 0);
    for (int i = 0; i < PEOPLE; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        add(&panel, name);
    }
    int answers = 0, finished = 0;
    while (finished < PEOPLE) {
        finished = 0;
        for (uint32_t l = 1; l <= PEOPLE; l++) {
            if (!next(&task, &panel, l, 0)) {
                cr_assert_eq(attune_panel_left(&panel, l), 0);
                finished++;
                continue;
            }
            current[l - 1] = task;
            cr_assert(attune_panel_left(&panel, l) > 0);
            cr_assert(next(&task, &panel, l, 0) && task.row == current[l - 1].row,
                      "stays until it is done");
            if (random_bits(&seed) % 2) {
                take(&panel, l, task, (int)(random_bits(&seed) % 6));
                answers++;
            }
        }
        int begun = 0;
        for (uint32_t r = 0; r < ROWS; r++) {
            const uint32_t votes = attune_panel_votes(&panel, r);
            begun += votes > 0 && votes < VOTES;
        }
        cr_assert(begun <= 3 * PEOPLE, "%d rows begun", begun);
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        cr_assert(attune_panel_votes(&panel, r) >= VOTES, "row %u", r);
    }
    cr_assert(answers <= ROWS * VOTES + PEOPLE, "%d answers", answers);
    close_panel(&panel, &threes);
}

/* What is before one is given to others when nothing else is left; and both answers count. */
Test(panel, leases)
{
    attune_panel panel;
    attune_threes threes;
    attune_task ann_has[2], task;
    open_panel(&panel, &threes, 4, 1, 0);
    const uint32_t ann = add(&panel, "Ann"), bob = add(&panel, "Bob");
    cr_assert(next(&task, &panel, ann, 100) && panel.listeners[0].before_count == 2);
    memcpy(ann_has, panel.listeners[0].before, sizeof(ann_has));
    for (int i = 0; i < 4; i++) { /* first what is nobody's */
        cr_assert(next(&task, &panel, bob, 110 + i), "%d", i);
        const bool hers = task.row == ann_has[0].row || task.row == ann_has[1].row;
        cr_assert_eq(hers, i >= 2, "%d", i);
        take(&panel, bob, task, i);
    }
    cr_assert(!next(&task, &panel, bob, 130));
    take(&panel, ann, ann_has[0], 2);
    cr_assert_eq(attune_panel_votes(&panel, ann_has[0].row), 2);
    cr_assert(next(&task, &panel, ann, 140) && task.row == ann_has[1].row, "as she was told");
    take(&panel, ann, task, 2);
    cr_assert(!next(&task, &panel, ann, 150));
    for (int r = 0; r < 4; r++) {
        cr_assert_eq(panel.leases[r], 0);
    }
    close_panel(&panel, &threes);
}

/* After ten minutes what was before one who went away is nobody's. */
Test(panel, lease_ends)
{
    attune_panel panel;
    attune_threes threes;
    attune_task task;
    open_panel(&panel, &threes, 4, 1, 0);
    const uint32_t ann = add(&panel, "Ann"), bob = add(&panel, "Bob");
    cr_assert(next(&task, &panel, ann, 100));
    cr_assert(next(&task, &panel, bob, 699));
    cr_assert_eq(panel.listeners[0].before_count, 2);
    cr_assert(next(&task, &panel, bob, 701));
    cr_assert_eq(panel.listeners[0].before_count, 0);
    uint32_t leases = 0;
    for (int r = 0; r < 4; r++) {
        leases += panel.leases[r];
    }
    cr_assert_eq(leases, 2, "Bob's");
    close_panel(&panel, &threes);
}

/* Everything can be taken back, to the beginning, and leaves nothing behind. */
Test(panel, undo)
{
    enum { ROWS = 40 };
    attune_panel panel;
    attune_threes threes;
    attune_task task, done[2 * ROWS];
    uint32_t count = 0, left[2 * ROWS + 1];
    open_panel(&panel, &threes, ROWS, 1, 100);
    const uint32_t ann = add(&panel, "Ann");
    left[0] = attune_panel_left(&panel, ann);
    cr_assert_eq(left[0], 2 * ROWS, "each comes again");
    while (next(&task, &panel, ann, 0)) {
        take(&panel, ann, task, count % 7 == 3 && !task.repeat ? -1 : (int)(count % 6));
        done[count++] = task;
        left[count] = attune_panel_left(&panel, ann);
        cr_assert(left[count] < left[count - 1]);
    }
    cr_assert_eq(panel.listeners[0].answered + panel.listeners[0].skipped, count);
    while (count > 0) {
        attune_panel_undo(&panel, ann, 0);
        count--;
        cr_assert_eq(attune_panel_left(&panel, ann), left[count], "%u undone", count);
        cr_assert(next(&task, &panel, ann, 0) && task.row == done[count].row &&
                  task.repeat == done[count].repeat);
    }
    attune_panel_forget(&panel, ann);
    for (uint32_t r = 0; r < ROWS; r++) {
        cr_assert(attune_panel_votes(&panel, r) == 0 && panel.leases[r] == 0 &&
                  panel.listeners[0].seen[r] == 0);
    }
    cr_assert_eq(panel.answers, 0);
    close_panel(&panel, &threes);
}

/* A twentieth of rows comes again, after ten others at least. */
Test(panel, repeats)
{
    enum { ROWS = 2000 };
    attune_panel panel;
    attune_threes threes;
    attune_task task;
    uint32_t when[ROWS], count = 0, again = 0;
    open_panel(&panel, &threes, ROWS, 1, 5);
    const uint32_t ann = add(&panel, "Ann");
    const uint32_t all = attune_panel_left(&panel, ann);
    while (next(&task, &panel, ann, 0)) {
        take(&panel, ann, task, 0);
        cr_assert(!task.repeat || count - when[task.row] > 10 || again + ROWS >= all - 5);
        when[task.row] = count++;
        again += task.repeat;
    }
    cr_assert_eq(count, all);
    cr_assert(again >= 70 && again <= 130, "%u of 2000 came again", again); /* 100, deviation 9.7 */
    cr_assert_eq(attune_panel_votes(&panel, 0), 1, "and is no second vote");
    close_panel(&panel, &threes);
}

/* Lines of any events, played again, give the same panel. */
Test(panel, replay)
{
    enum { ROWS = 20, EVENTS = 400 };
    attune_panel panel, copy;
    attune_threes threes, same;
    attune_replay replay;
    uint64_t seed = 8;
    size_t number = 1;
    char *line = attune_record_head();
    open_panel(&panel, &threes, ROWS, 3, 50);
    open_panel(&copy, &same, ROWS, 3, 50);
    cr_assert_eq(attune_replay_start(&replay, &copy, "j"), ATTUNE_OK);
    cr_assert_eq(attune_replay_line(&replay, line, strlen(line), number++), ATTUNE_OK);
    free(line);
    for (int i = 0; i < EVENTS; i++) {
        const uint32_t l = (uint32_t)(random_bits(&seed) % 4) + 1;
        char name[32];
        attune_task task;
        attune_told told = {.shown = {2, 0, 1}, .replays = {1, 2, 3}};
        if (l > panel.listener_count) {
            snprintf(name, sizeof(name), "L\xc3\xa9o \"%u\"", panel.listener_count);
            line = attune_record_listener(add(&panel, name), name, 1000 + i);
        } else if (random_bits(&seed) % 5 == 0 && panel.listeners[l - 1].count > 0) {
            const attune_listener *who = &panel.listeners[l - 1];
            line = attune_record_undo(&threes, l, &who->answers[who->count - 1], 1000 + i);
            attune_panel_undo(&panel, l, 0);
        } else if (next(&task, &panel, l, 0)) {
            take(&panel, l, task, (int)(random_bits(&seed) % 7) - 1);
            attune_answer *a = &panel.listeners[l - 1].answers[panel.listeners[l - 1].count - 1];
            a->time = 1700000000 + i;
            a->seconds = a->skipped ? 0 : 1.5f;
            line = attune_record_answer(&threes, l, a, &told);
        } else {
            continue;
        }
        cr_assert_eq(attune_replay_line(&replay, line, strlen(line), number++), ATTUNE_OK, "%s: %s",
                     line, attune_last_error());
        free(line);
    }
    cr_assert(panel.answers > 20 && panel.answers == copy.answers);
    cr_assert_eq(memcmp(panel.votes, copy.votes, ROWS * sizeof(*panel.votes)), 0);
    for (uint32_t i = 0; i < panel.listener_count; i++) {
        const attune_listener *a = &panel.listeners[i], *b = &copy.listeners[i];
        cr_assert_str_eq(a->name, b->name);
        cr_assert(a->count == b->count && a->answered == b->answered && a->skipped == b->skipped &&
                  memcmp(a->seen, b->seen, ROWS) == 0);
        for (uint32_t k = 0; k < a->count; k++) {
            const attune_answer *x = &a->answers[k], *y = &b->answers[k];
            cr_assert(x->row == y->row && x->repeat == y->repeat && x->skipped == y->skipped &&
                      x->time == y->time && x->seconds == y->seconds);
            cr_assert(x->skipped || (x->choice.anchor == y->choice.anchor &&
                                     x->choice.positive == y->choice.positive));
        }
    }
    attune_replay_end(&replay);
    close_panel(&panel, &threes);
    close_panel(&copy, &same);
}

/* A row for each of eight letters, of songs that are the letter's: the same letter is the same
 * three. */
static void open_letters(attune_panel *panel, attune_threes *threes, const char *letters)
{
    open_panel(panel, threes, 8, 1, 100);
    for (uint32_t r = 0; r < 8; r++) {
        for (uint32_t i = 0; i < 3; i++) {
            threes->rows[r].song[i] = 3 * (uint32_t)(letters[r] - 'a') + i;
        }
    }
}

static void play_line(attune_replay *replay, size_t number, char *line)
{
    cr_assert_eq(attune_replay_line(replay, line, strlen(line), number), ATTUNE_OK, "%s: %s", line,
                 attune_last_error());
    free(line);
}

typedef struct event {
    uint32_t row;
    bool repeat, undo;
} event;

/* What one listener did with the rows `was`, up to an event of row 8, played again with those of
 * `letters`. */
static void play(attune_panel *panel, attune_threes *threes, uint64_t *foreign, const char *letters,
                 const char *was, const event *events)
{
    const attune_told told = {.shown = {0, 1, 2}};
    attune_panel old;
    attune_threes known;
    attune_replay replay;
    size_t number = 1;
    open_letters(&old, &known, was);
    open_letters(panel, threes, letters);
    cr_assert_eq(attune_replay_start(&replay, panel, "j"), ATTUNE_OK);
    play_line(&replay, number++, attune_record_head());
    play_line(&replay, number++, attune_record_listener(1, "Ann", 1));
    for (const event *e = events; e->row < 8; e++) {
        const attune_answer answer = {.row = e->row, .repeat = e->repeat, .choice = {0, 1}};
        play_line(&replay, number++,
                  e->undo ? attune_record_undo(&known, 1, &answer, 1)
                          : attune_record_answer(&known, 1, &answer, &told));
    }
    *foreign = replay.foreign_count;
    attune_replay_end(&replay);
    close_panel(&old, &known);
}

/* A three that stands in the file twice keeps both its answers when rows above come or go, and one
 * when it stands there once; an answer that has no row any more is counted. */
Test(panel, rows_move)
{
    static const event twice[] = {{.row = 0},
                                  {.row = 1},
                                  {.row = 3},
                                  {.row = 3, .undo = true},
                                  {.row = 3},
                                  {.row = 1, .repeat = true},
                                  {.row = 3, .repeat = true},
                                  {.row = 3, .repeat = true, .undo = true},
                                  {.row = 2},
                                  {.row = 8}};
    static const struct {
        const char *letters;
        uint64_t answers, foreign;
        uint32_t first, second; /* rows of h */
    } cases[] = {{"ahbhcdef", 5, 0, 1, 3}, {"gahbhcde", 5, 0, 2, 4}, {"hbhcdefg", 4, 1, 0, 2},
                 {"ahhbcdef", 5, 0, 1, 2}, {"hhbacdef", 5, 0, 0, 1}, {"abhcdefg", 4, 1, 2, 2}};
    attune_panel panel;
    attune_threes threes;
    uint64_t foreign = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        play(&panel, &threes, &foreign, cases[i].letters, "ahbhcdef", twice);
        cr_assert(panel.answers == cases[i].answers && foreign == cases[i].foreign,
                  "%s: %d answers, %d foreign", cases[i].letters, (int)panel.answers, (int)foreign);
        cr_assert(attune_panel_votes(&panel, cases[i].first) == 1 &&
                      attune_panel_votes(&panel, cases[i].second) == 1,
                  "%s", cases[i].letters);
        close_panel(&panel, &threes);
    }
}

/* The first answer was taken back while the file had no h, which has come back since. */
Test(panel, rows_come_back)
{
    static const event gone[] = {{.row = 0}, {.row = 1}, {.row = 0, .undo = true}, {.row = 8}};
    attune_panel panel;
    attune_threes threes;
    uint64_t foreign = 0;
    play(&panel, &threes, &foreign, "ahbcdefg", "ahbcdefg", gone);
    cr_assert(panel.answers == 1 && foreign == 0 && attune_panel_votes(&panel, 1) == 1);
    close_panel(&panel, &threes);
}

/* Of a three that stood in the file twice and stands there once, the undo of the second answer
 * leaves the first; one that was made since is of the row that is left. */
Test(panel, rows_go)
{
    static const event second[] = {{.row = 0}, {.row = 1}, {.row = 1, .undo = true}, {.row = 8}};
    static const event since[] = {
        {.row = 0}, {.row = 1}, {.row = 0, .undo = true}, {.row = 0}, {.row = 8}};
    attune_panel panel;
    attune_threes threes;
    uint64_t foreign = 0;
    play(&panel, &threes, &foreign, "habcdefg", "hhabcdef", second);
    cr_assert(panel.answers == 1 && foreign == 0, "%d, %d", (int)panel.answers, (int)foreign);
    close_panel(&panel, &threes);
    play(&panel, &threes, &foreign, "habcdefg", "hhabcdef", since);
    cr_assert(panel.answers == 1 && foreign == 1, "%d, %d", (int)panel.answers, (int)foreign);
    close_panel(&panel, &threes);
    play(&panel, &threes, &foreign, "abcdefga", "hhabcdef", second);
    cr_assert(panel.answers == 0 && foreign == 1, "%d, %d", (int)panel.answers, (int)foreign);
    close_panel(&panel, &threes);
}

/* Answers without a row are their listener's, and of their three. */
Test(panel, undoes_own_foreign)
{
    const attune_told told = {.shown = {0, 1, 2}};
    const attune_answer answers[] = {{.row = 0, .choice = {0, 1}}, {.row = 1, .choice = {0, 1}}};
    attune_panel panel, old;
    attune_threes threes, known;
    attune_replay replay;
    open_letters(&old, &known, "hgabcdef");
    open_letters(&panel, &threes, "abcdefab");
    cr_assert_eq(attune_replay_start(&replay, &panel, "j"), ATTUNE_OK);
    play_line(&replay, 1, attune_record_head());
    play_line(&replay, 2, attune_record_listener(1, "Ann", 1));
    play_line(&replay, 3, attune_record_listener(2, "Bob", 1));
    play_line(&replay, 4, attune_record_answer(&known, 1, &answers[0], &told));
    char *const bad[] = {attune_record_undo(&known, 2, &answers[0], 1),
                         attune_record_undo(&known, 1, &answers[1], 1)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(attune_replay_line(&replay, bad[i], strlen(bad[i]), 5), ATTUNE_EDATA, "%s",
                     bad[i]);
        free(bad[i]);
    }
    play_line(&replay, 5, attune_record_undo(&known, 1, &answers[0], 1));
    cr_assert_eq(replay.foreign_count, 0);
    attune_replay_end(&replay);
    close_panel(&old, &known);
    close_panel(&panel, &threes);
}

/* What no attune judge wrote is refused, with its line. */
Test(panel, refuses_records)
{
    static const char ann[] =
        "{\"record\":\"listener\",\"listener\":1,\"name\":\"Ann\",\"time\":\"\"}";
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"record\":3}",
        "{\"record\":\"attune judgements\",\"version\":1}",
        "{\"record\":\"listener\",\"listener\":1,\"name\":\"Ann\"}",
        "{\"record\":\"listener\",\"listener\":3,\"name\":\"Bob\"}",
        "{\"record\":\"listener\",\"listener\":2,\"name\":\"Ann\"}",
        "{\"record\":\"answer\",\"listener\":1}",
        ("{\"record\":\"answer\",\"listener\":2,"
         "\"row\":1,\"key\":\"0\",\"repeat\":false,\"time\":\"\",\"anchor\":1,\"positive\":2}"),
        ("{\"record\":\"answer\",\"listener\":1,"
         "\"row\":1,\"key\":\"0\",\"repeat\":false,\"time\":\"\",\"anchor\":1,\"positive\":1}"),
        ("{\"record\":\"answer\",\"listener\":1,"
         "\"row\":1,\"key\":\"0\",\"repeat\":false,\"time\":\"\",\"anchor\":0,\"positive\":2}"),
        ("{\"record\":\"answer\",\"listener\":1,"
         "\"row\":1,\"key\":\"0\",\"repeat\":false,\"time\":\"\"}"),
        "{\"record\":\"undo\",\"listener\":1,\"row\":1}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        attune_panel panel;
        attune_threes threes;
        attune_replay replay;
        char *head = attune_record_head();
        open_panel(&panel, &threes, 2, 1, 0);
        cr_assert_eq(attune_replay_start(&replay, &panel, "j.jsonl"), ATTUNE_OK);
        cr_assert_eq(attune_replay_line(&replay, ann, strlen(ann), 1), ATTUNE_EDATA, "no head");
        cr_assert_eq(attune_replay_line(&replay, head, strlen(head), 1), ATTUNE_OK);
        cr_assert_eq(attune_replay_line(&replay, ann, strlen(ann), 2), ATTUNE_OK);
        cr_assert_eq(attune_replay_line(&replay, bad[i], strlen(bad[i]), 3), ATTUNE_EDATA, "%s",
                     bad[i]);
        cr_assert_not_null(strstr(attune_last_error(), "j.jsonl, line 3: "), "%s",
                           attune_last_error());
        attune_replay_end(&replay);
        close_panel(&panel, &threes);
        free(head);
    }
}
