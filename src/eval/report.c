/* report.c - rows by section and name. */
#include "eval/report.h"

#include "status/error.h"
#include "status/json.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 31, COLUMN = 22, BESIDE = 3 }; /* characters, and spaces side by side */

void attune_report_free(attune_report *report)
{
    if (!report) {
        return;
    }
    for (uint32_t i = 0; i < report->figure_count; i++) {
        free(report->figures[i].section);
        free(report->figures[i].name);
        free(report->figures[i].values);
        free(report->figures[i].intervals);
    }
    for (uint32_t i = 0; i < report->comparison_count; i++) {
        free(report->comparisons[i].section);
        free(report->comparisons[i].name);
    }
    for (uint32_t i = 0; i < report->note_count; i++) {
        free(report->notes[i]);
    }
    free(report->figures);
    free(report->comparisons);
    free(report->notes);
    *report = (attune_report){0};
}

/* Appends an empty figure. */
static attune_figure *add_figure(attune_report *r, const char *section, const char *name)
{
    attune_figure *figures = realloc(r->figures, (r->figure_count + 1) * sizeof(*figures));
    if (!figures) {
        return NULL;
    }
    r->figures = figures;
    attune_figure *f = &figures[r->figure_count++];
    *f = (attune_figure){.section = strdup(section),
                         .name = strdup(name),
                         .values = malloc(r->spaces * sizeof(double)),
                         .intervals = malloc(r->spaces * sizeof(attune_interval))};
    for (uint32_t i = 0; f->values && f->intervals && i < r->spaces; i++) {
        f->values[i] = NAN;
        f->intervals[i] = ATTUNE_NO_INTERVAL;
    }
    return f->section && f->name && f->values && f->intervals ? f : NULL;
}

attune_status attune_report_put(attune_report *report, uint32_t space, const char *section,
                                const char *name, double value, attune_interval interval)
{
    attune_figure *figure = NULL;
    for (uint32_t i = 0; i < report->figure_count && !figure; i++) {
        attune_figure *f = &report->figures[i];
        figure = strcmp(f->section, section) == 0 && strcmp(f->name, name) == 0 ? f : NULL;
    }
    figure = figure ? figure : add_figure(report, section, name);
    if (!figure) {
        return attune_fail_memory("a table", sizeof(*figure));
    }
    figure->values[space] = value + 0.0; /* of -0 it makes 0 */
    figure->intervals[space] = (attune_interval){interval.low + 0.0, interval.high + 0.0};
    return ATTUNE_OK;
}

attune_status attune_report_compare(attune_report *report, const attune_comparison *comparison)
{
    attune_comparison *all =
        realloc(report->comparisons, (report->comparison_count + 1) * sizeof(*all));
    if (!all) {
        return attune_fail_memory("a table", sizeof(*all));
    }
    report->comparisons = all;
    attune_comparison *c = &all[report->comparison_count++];
    *c = *comparison;
    c->section = strdup(comparison->section);
    c->name = strdup(comparison->name);
    return c->section && c->name ? ATTUNE_OK : attune_fail_memory("a table", sizeof(*all));
}

attune_status attune_report_note(attune_report *report, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (uint32_t i = 0; i < report->note_count; i++) { /* each once, also of several spaces */
        if (strcmp(report->notes[i], text) == 0) {
            return ATTUNE_OK;
        }
    }
    char **notes = realloc(report->notes, (report->note_count + 1) * sizeof(*notes));
    if (!notes) {
        return attune_fail_memory("a table", sizeof(*notes));
    }
    report->notes = notes;
    notes[report->note_count] = strdup(text);
    return notes[report->note_count++] ? ATTUNE_OK : attune_fail_memory("a table", sizeof(text));
}

/* ---- text ---- */

/* Characters, not bytes, so that columns of UTF-8 stay straight. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void print_padded(FILE *out, const char *text, int width)
{
    char line[256];
    attune_one_line(line, sizeof(line), text);
    int wide = width_of(line);
    for (char *end = line + strlen(line); wide > width && end > line; wide = width_of(line)) {
        *--end = '\0';
    }
    fprintf(out, "%s%*s", line, width - wide, "");
}

/* Whether a figure is a number of things. */
static bool is_count(const char *name)
{
    static const char *const counts[] = {"rows", "components", "anchors", "triplets",
                                         "leak-free: triplets"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(name, counts[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The value, or 0 where its digits would be zeros behind a sign; `half` is half of the last one. */
static double unsigned_zero(double value, double half)
{
    return fabs(value) < half ? 0 : value;
}

/* "0.6592 [0.635, 0.682]", "1608", "-". */
static void print_value(char *out, size_t size, const char *name, double value,
                        attune_interval interval)
{
    if (isnan(value)) {
        snprintf(out, size, "-");
    } else if (!isnan(interval.low)) {
        snprintf(out, size, "%.4f [%.3f, %.3f]", unsigned_zero(value, 0.00005),
                 unsigned_zero(interval.low, 0.0005), unsigned_zero(interval.high, 0.0005));
    } else if (is_count(name)) {
        snprintf(out, size, "%.0f", value);
    } else {
        snprintf(out, size, "%.4f", unsigned_zero(value, 0.00005));
    }
}

static void print_figures(const attune_report *r, FILE *out, uint32_t first)
{
    const uint32_t end = first + BESIDE < r->spaces ? first + BESIDE : r->spaces;
    const char *section = "";
    print_padded(out, "", NAME);
    for (uint32_t s = first; s < end; s++) {
        fputc(' ', out);
        print_padded(out, r->titles[s], s + 1 < end ? COLUMN - 1 : width_of(r->titles[s]));
    }
    fputc('\n', out);
    for (uint32_t i = 0; i < r->figure_count; i++) {
        const attune_figure *f = &r->figures[i];
        if (strcmp(section, f->section) != 0) {
            section = f->section;
            char line[256];
            attune_one_line(line, sizeof(line), section);
            fprintf(out, "%s\n", line);
        }
        fputs("  ", out);
        print_padded(out, f->name, NAME - 2);
        for (uint32_t s = first; s < end; s++) {
            char text[64];
            print_value(text, sizeof(text), f->name, f->values[s], f->intervals[s]);
            fprintf(out, " %-*s", s + 1 < end ? COLUMN - 1 : 0, text);
        }
        fputc('\n', out);
    }
}

static void print_comparisons(const attune_report *r, FILE *out)
{
    const attune_comparison *before = NULL;
    for (uint32_t i = 0; i < r->comparison_count; i++) {
        const attune_comparison *c = &r->comparisons[i];
        if (i == 0) {
            fputs("\ndifferences                     less first  95 % interval       McNemar: only "
                  "first, second, p\n",
                  out);
        }
        if (!before || before->second != c->second || strcmp(before->section, c->section) != 0) {
            char line[256], heading[256];
            snprintf(line, sizeof(line), "%s: %s", r->titles[c->second], c->section);
            attune_one_line(heading, sizeof(heading), line);
            fprintf(out, "%s\n", heading);
        }
        before = c;
        fputs("  ", out);
        print_padded(out, c->name, NAME - 2);
        fprintf(out, " %+.4f     [%+.4f, %+.4f]", unsigned_zero(c->difference, 0.00005),
                unsigned_zero(c->interval.low, 0.00005), unsigned_zero(c->interval.high, 0.00005));
        if (!isnan(c->p)) {
            fprintf(out, "  %.0f, %.0f, %.3g", c->only_first, c->only_second, c->p);
        }
        fputc('\n', out);
    }
}

/* A note in lines of at most 98 characters. */
static void print_note(FILE *out, const char *note)
{
    char text[1024];
    attune_one_line(text, sizeof(text), note);
    const char *start = text;
    const char *indent = "- ";
    while (*start) {
        size_t length = strlen(start);
        if (length > 96) {
            for (length = 96; length > 1 && start[length] != ' '; length--) {
            }
            length = length > 1 ? length : 96;
        }
        fprintf(out, "%s%.*s\n", indent, (int)length, start);
        start += length;
        start += *start == ' ';
        indent = "  ";
    }
}

void attune_report_text(const attune_report *report, FILE *out)
{
    for (uint32_t first = 0; first < report->spaces; first += BESIDE) {
        fputs(first > 0 ? "\n" : "", out);
        print_figures(report, out, first);
    }
    print_comparisons(report, out);
    fputs(report->note_count > 0 ? "\n" : "", out);
    for (uint32_t i = 0; i < report->note_count; i++) {
        print_note(out, report->notes[i]);
    }
}

/* ---- CSV ---- */

static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, out);
    }
    fputc('"', out);
}

/* Empty where there is no number. */
static void print_number(FILE *out, double value)
{
    if (isnan(value)) {
        fputc(',', out);
    } else {
        fprintf(out, ",%.17g", value);
    }
}

void attune_report_csv(const attune_report *report, FILE *out)
{
    fputs("section,figure,embedding,value,low,high\n", out);
    for (uint32_t i = 0; i < report->figure_count; i++) {
        const attune_figure *f = &report->figures[i];
        for (uint32_t s = 0; s < report->spaces; s++) {
            print_quoted(out, f->section);
            fputc(',', out);
            print_quoted(out, f->name);
            fputc(',', out);
            print_quoted(out, report->titles[s]);
            print_number(out, f->values[s]);
            print_number(out, f->intervals[s].low);
            print_number(out, f->intervals[s].high);
            fputc('\n', out);
        }
    }
}

/* ---- JSON ---- */

static void set_interval(json_t *object, attune_interval interval)
{
    if (!isnan(interval.low)) {
        json_object_set_new(object, "low", attune_json_number(interval.low));
        json_object_set_new(object, "high", attune_json_number(interval.high));
    }
}

static json_t *comparison_json(const attune_report *r, const attune_comparison *c)
{
    json_t *object = json_object();
    json_object_set_new(object, "section", attune_json_text(c->section));
    json_object_set_new(object, "figure", attune_json_text(c->name));
    json_object_set_new(object, "first", attune_json_text(r->titles[c->first]));
    json_object_set_new(object, "second", attune_json_text(r->titles[c->second]));
    json_object_set_new(object, "difference", attune_json_number(c->difference));
    set_interval(object, c->interval);
    if (!isnan(c->p)) {
        json_object_set_new(object, "only_first", attune_json_number(c->only_first));
        json_object_set_new(object, "only_second", attune_json_number(c->only_second));
        json_object_set_new(object, "p", attune_json_number(c->p));
    }
    return object;
}

json_t *attune_report_json(const attune_report *report)
{
    json_t *object = json_object(), *figures = json_array(), *comparisons = json_array(),
           *notes = json_array();
    for (uint32_t i = 0; i < report->figure_count; i++) {
        const attune_figure *f = &report->figures[i];
        for (uint32_t s = 0; s < report->spaces; s++) {
            json_t *item = json_object();
            json_object_set_new(item, "section", attune_json_text(f->section));
            json_object_set_new(item, "figure", attune_json_text(f->name));
            json_object_set_new(item, "embedding", attune_json_text(report->titles[s]));
            json_object_set_new(item, "value", attune_json_number(f->values[s]));
            set_interval(item, f->intervals[s]);
            json_array_append_new(figures, item);
        }
    }
    for (uint32_t i = 0; i < report->comparison_count; i++) {
        json_array_append_new(comparisons, comparison_json(report, &report->comparisons[i]));
    }
    for (uint32_t i = 0; i < report->note_count; i++) {
        json_array_append_new(notes, attune_json_text(report->notes[i]));
    }
    json_object_set_new(object, "figures", figures);
    json_object_set_new(object, "comparisons", comparisons);
    json_object_set_new(object, "notes", notes);
    return object;
}
