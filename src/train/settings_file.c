/* settings_file.c - a configuration file: the subset of TOML that settings.h describes. */
#include "train/settings.h"

#include "status/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, EVERY_STAGE = ATTUNE_STAGE_COUNT };

typedef struct reader {
    attune_settings *settings; /* by stage */
    const char *path;
    char *at;
    int line;
    int stage;     /* of the section, or EVERY_STAGE */
    bool sections; /* this pass takes what stands in sections; the other what does not */
    bool given[ATTUNE_STAGE_COUNT][ATTUNE_SETTINGS_MAX]; /* before this pass */
    bool seen[EVERY_STAGE + 1][ATTUNE_SETTINGS_MAX];     /* in this pass, by section */
} reader;

static attune_status wrong(const reader *r, const char *what)
{
    return attune_fail(ATTUNE_EDATA, "%s:%d: %s", r->path, r->line, what);
}

/* Over blanks, and with `lines` over comments and line ends too. */
static void skip(reader *r, bool lines)
{
    for (;;) {
        r->at += strspn(r->at, " \t\r");
        if (*r->at == '#') {
            r->at += strcspn(r->at, "\n");
        }
        if (*r->at != '\n' || !lines) {
            return;
        }
        r->line++;
        r->at++;
    }
}

/* A quoted string, its escapes undone in place; NULL if it is none. */
static char *quoted(reader *r)
{
    const char quote = *r->at;
    char *start = ++r->at, *to = start;
    for (; *r->at && *r->at != quote; r->at++) {
        if (*r->at == '\n') {
            return NULL;
        }
        if (*r->at == '\\' && quote == '"') {
            r->at++;
            if (!strchr("\"\\", *r->at) || !*r->at) {
                return NULL; /* of TOML's other escapes no path or name has need */
            }
        }
        *to++ = *r->at;
    }
    if (*r->at != quote) {
        return NULL;
    }
    r->at++;
    *to = '\0';
    return start;
}

static attune_status wrong_setting(const reader *r, const char *name, const char *what)
{
    char line[300];
    snprintf(line, sizeof(line), "%s: %s", name, what);
    return wrong(r, line);
}

static attune_status set(const reader *r, int index, const char *text, bool quoted_text)
{
    const attune_setting *setting = &attune_settings_table[index];
    const bool in_section = r->stage != EVERY_STAGE;
    for (int i = 0; i < ATTUNE_STAGE_COUNT && in_section == r->sections; i++) {
        if (r->given[i][index]) {
            continue;
        }
        const bool is_text =
            setting->kind == ATTUNE_SETTING_TEXT || setting->kind == ATTUNE_SETTING_LIST;
        if (is_text && !quoted_text) { /* which would not end where it ends */
            return wrong(r, "a text stands in quotes");
        }
        if ((!in_section || i == r->stage) &&
            attune_settings_set(&r->settings[i], setting->name, text)) {
            char why[300];
            snprintf(why, sizeof(why), "%s", attune_last_error());
            return wrong(r, why);
        }
    }
    return ATTUNE_OK;
}

/* A bare word, number or string; *text stays valid. The character behind it may be overwritten with
 * NUL, and is in *behind. */
static attune_status scalar(reader *r, char **text, char *behind, bool *quoted_text)
{
    *quoted_text = *r->at == '"' || *r->at == '\'';
    if (*quoted_text) {
        *text = quoted(r);
        *behind = *r->at;
        return *text ? ATTUNE_OK
                     : wrong(r, "a string without its end, or with an escape but \\\" and \\\\");
    }
    *text = r->at;
    r->at += strcspn(r->at, " \t\r\n#,]");
    *behind = *r->at;
    if (r->at == *text) {
        return wrong(r, "there is no value");
    }
    *r->at = '\0';
    return ATTUNE_OK;
}

static attune_status value(reader *r, int index)
{
    const attune_setting *setting = &attune_settings_table[index];
    const bool array = *r->at == '[';
    attune_status status = ATTUNE_OK;
    char *text = NULL, behind = 0;
    bool quoted_text = false;
    if (!array) {
        status = scalar(r, &text, &behind, &quoted_text);
        status = status ? status : set(r, index, text, quoted_text);
        *r->at = behind;
        return status;
    }
    if (setting->kind != ATTUNE_SETTING_LIST) {
        return wrong_setting(r, setting->name, "has one value, and no array");
    }
    r->at++;
    for (;;) {
        skip(r, true);
        if (*r->at == ']') {
            r->at++;
            return ATTUNE_OK;
        }
        status = scalar(r, &text, &behind, &quoted_text);
        status = status ? status : set(r, index, text, quoted_text);
        if (status) {
            return status;
        }
        *r->at = behind;
        skip(r, true);
        if (*r->at == ',') {
            r->at++;
        } else if (*r->at != ']') {
            return wrong(r, "an array has commas between its values and ] behind them");
        }
    }
}

static attune_status section(reader *r)
{
    char *name = r->at + 1;
    const size_t length = strcspn(name, "]\n");
    for (int i = 0; i < ATTUNE_STAGE_COUNT; i++) {
        if (strlen(attune_stage_name((attune_stage)i)) == length && name[length] == ']' &&
            strncmp(name, attune_stage_name((attune_stage)i), length) == 0) {
            r->stage = i;
            r->at = name + length + 1;
            return ATTUNE_OK;
        }
    }
    return wrong(r, "a section is [synthetic], [human] or [unlabelled]");
}

/* name = value, or an array of them. */
static attune_status assignment(reader *r)
{
    char name[64];
    const size_t length =
        strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    snprintf(name, sizeof(name), "%.*s", (int)(length < 63 ? length : 63), r->at);
    r->at += length;
    skip(r, false);
    if (length == 0 || *r->at != '=') {
        return wrong(r, "a line is name = value, or [section]");
    }
    r->at++;
    skip(r, false);
    const int index = attune_settings_find(name);
    if (index < 0) {
        return wrong_setting(r, name, "there is no such setting");
    }
    if (r->seen[r->stage][index]) {
        return wrong_setting(r, name, "stands there twice");
    }
    r->seen[r->stage][index] = true;
    return value(r, index);
}

/* One pass over the text: what stands in sections, or what does not. */
static attune_status read_pass(reader *r, char *text, bool sections)
{
    r->at = text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0); /* a byte order mark */
    r->line = 1;
    r->stage = EVERY_STAGE;
    r->sections = sections;
    memset(r->seen, 0, sizeof(r->seen));
    for (int i = 0; i < ATTUNE_STAGE_COUNT; i++) {
        memcpy(r->given[i], r->settings[i].set, sizeof(r->given[i]));
    }
    for (skip(r, true); *r->at; skip(r, true)) {
        attune_status status = ATTUNE_OK;
        if (*r->at == '[') {
            status = section(r);
        } else {
            status = assignment(r);
        }
        if (status) {
            return status;
        }
        skip(r, false);
        if (*r->at && *r->at != '\n') {
            return wrong(r, "there is more behind the value");
        }
    }
    return ATTUNE_OK;
}

static attune_status read_text(char **out, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size = 0;
    *out = NULL;
    if (!file) {
        return attune_fail(errno == ENOENT ? ATTUNE_ENOINPUT : ATTUNE_EIO, "%s: %s", path,
                           strerror(errno));
    }
    char *text = malloc(FILE_MAX + 1);
    attune_status status = text ? ATTUNE_OK : attune_fail_memory("a configuration", FILE_MAX);
    if (!status) {
        size = fread(text, 1, FILE_MAX, file);
        text[size] = '\0';
    }
    if (!status && ferror(file)) {
        status = attune_fail(ATTUNE_EIO, "%s: %s", path, strerror(errno));
    } else if (!status && (size == FILE_MAX || strlen(text) != size)) {
        status = attune_fail(ATTUNE_EDATA, "%s: not a configuration file: %s", path,
                             size == FILE_MAX ? "too long" : "not text");
    }
    fclose(file);
    if (status) {
        free(text);
        return status;
    }
    *out = text;
    return ATTUNE_OK;
}

/* Two passes over two copies, as reading cuts the text into strings: sections come first, since
 * what is given stays. */
attune_status attune_settings_read(attune_settings settings[ATTUNE_STAGE_COUNT], char **text,
                                   const char *path)
{
    reader r = {.settings = settings, .path = path};
    attune_status status = read_text(text, path);
    if (status) {
        return status;
    }
    const size_t size = strlen(*text) + 1;
    char *both = realloc(*text, 2 * size);
    if (!both) {
        return attune_fail_memory("a configuration", 2 * size);
    }
    *text = both;
    memcpy(both + size, both, size);
    status = read_pass(&r, both, true);
    return status ? status : read_pass(&r, both + size, false);
}
