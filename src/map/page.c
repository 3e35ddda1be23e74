/* page.c - page/map.html with what fills its places: the style, the script, what the map is about
 * as JSON, and its data in base64, which holds names of any bytes.
 *
 * Data, little-endian: positions u16 (n, 2), from 0 to 65535 over the longer side; each colouring's
 * numbers u16 (n); neighbours' cosines u16 (n, k), 0 for -1 and 65535 for 1; neighbours u24 (n, k);
 * and names, each as the number of bytes it shares with the one before, the number of the rest, and
 * the rest. Those numbers have seven bits a byte, lowest first, all but the last with the eighth
 * bit. */
#include "map/drawing.h"

#include "eval/vector.h"
#include "status/error.h"
#include "status/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The assembler reads the files. */
#define PART(name, file)                                                                           \
    __asm__(".pushsection .rodata,\"a\",%progbits\n"                                               \
            ".hidden attune_map_" name "\n.global attune_map_" name "\n"                           \
            "attune_map_" name ":\n.incbin \"" file "\"\n.byte 0\n"                                \
            ".popsection\n")
PART("html", ATTUNE_MAP_PAGE ".html");
PART("css", ATTUNE_MAP_PAGE ".css");
PART("js", ATTUNE_MAP_PAGE ".js");
extern const char attune_map_html[] __attribute__((visibility("hidden")));
extern const char attune_map_css[] __attribute__((visibility("hidden")));
extern const char attune_map_js[] __attribute__((visibility("hidden")));

/* ---- base64 ---- */

typedef struct sink {
    FILE *out;
    unsigned char left[3];
    int count;
} sink;

static void put_group(sink *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned bits = (unsigned)s->left[0] << 16 | (unsigned)s->left[1] << 8 | s->left[2];
    for (int i = 0; i < 4; i++) {
        fputc(i <= s->count ? digits[bits >> (18 - 6 * i) & 63] : '=', s->out);
    }
    memset(s->left, 0, sizeof(s->left));
    s->count = 0;
}

static void put_byte(sink *s, unsigned value)
{
    s->left[s->count++] = (unsigned char)(value & 255);
    if (s->count == 3) {
        put_group(s);
    }
}

static void put_u16(sink *s, uint32_t value)
{
    put_byte(s, value);
    put_byte(s, value >> 8);
}

static void put_number(sink *s, size_t value)
{
    for (; value > 127; value >>= 7) {
        put_byte(s, (unsigned)(value & 127) | 128);
    }
    put_byte(s, (unsigned)value);
}

/* ---- data ---- */

static uint32_t shown_neighbours(const attune_drawing *d)
{
    return d->K < ATTUNE_MAP_NEIGHBOURS ? d->K : ATTUNE_MAP_NEIGHBOURS;
}

static void put_positions(sink *s, const attune_drawing *d)
{
    const size_t count = 2 * (size_t)d->tracks->n;
    float low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        low[i % 2] = fminf(low[i % 2], d->positions[i]);
        high[i % 2] = fmaxf(high[i % 2], d->positions[i]);
    }
    const double extent = fmax((double)high[0] - (double)low[0], (double)high[1] - (double)low[1]);
    for (size_t i = 0; i < count; i++) {
        const double middle = ((double)low[i % 2] + (double)high[i % 2]) / 2,
                     from = (double)d->positions[i] - middle;
        put_u16(s, (uint32_t)lrint(32767.5 + (extent > 0 ? from / extent : 0) * 65535));
    }
}

static double cosine(const attune_map_tracks *t, uint32_t a, uint32_t b)
{
    const double c =
        attune_vector_cosine(t->vectors + (size_t)a * t->E, t->vectors + (size_t)b * t->E, t->E);
    return c > 1 ? 1 : c > -1 ? c : -1; /* also for a vector of zeros */
}

static void put_neighbours(sink *s, const attune_drawing *d)
{
    const uint32_t shown = shown_neighbours(d);
    for (size_t i = 0; i < d->tracks->n; i++) {
        for (uint32_t k = 0; k < shown; k++) {
            const double c = cosine(d->tracks, (uint32_t)i, d->neighbours[i * d->K + k]);
            put_u16(s, (uint32_t)lrint((c + 1) / 2 * 65535));
        }
    }
    for (size_t i = 0; i < d->tracks->n; i++) {
        for (uint32_t k = 0; k < shown; k++) {
            const uint32_t row = d->neighbours[i * d->K + k];
            put_u16(s, row);
            put_byte(s, row >> 16);
        }
    }
}

static void put_names(sink *s, const attune_map_tracks *t)
{
    const char *before = "";
    for (uint32_t i = 0; i < t->n; i++) {
        const char *name = attune_map_path(t, i);
        size_t shared = 0;
        while (name[shared] && name[shared] == before[shared]) {
            shared++;
        }
        const size_t rest = strlen(name + shared);
        put_number(s, shared);
        put_number(s, rest);
        for (size_t k = 0; k < rest; k++) {
            put_byte(s, (unsigned char)name[shared + k]);
        }
        before = name;
    }
}

static void put_data(FILE *out, const attune_drawing *d)
{
    sink s = {.out = out};
    put_positions(&s, d);
    for (int by = 0; by < ATTUNE_MAP_BY_COUNT; by++) {
        for (uint32_t i = 0; d->there[by] && i < d->tracks->n; i++) {
            put_u16(&s, d->colourings[by].number[i]);
        }
    }
    put_neighbours(&s, d);
    put_names(&s, d->tracks);
    if (s.count > 0) {
        put_group(&s);
    }
}

/* ---- what it is about ---- */

static char *encode(char *to, const char *bytes, size_t length)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (size_t i = 0; i < length; i++) {
        to += bytes[i] && strchr(plain, bytes[i]) ? sprintf(to, "%c", bytes[i])
                                                  : sprintf(to, "%%%02X", (unsigned char)bytes[i]);
    }
    *to = '\0';
    return to;
}

/* Bytes of the folders that two paths, of such lengths, begin with. */
static size_t shared_folders(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t shared = 0;
    for (size_t i = 0;; i++) {
        if ((i == a_length || a[i] == '/') && (i == b_length || b[i] == '/')) {
            shared = i;
        }
        if (i == a_length || i == b_length || a[i] != b[i]) {
            return shared;
        }
    }
}

static size_t trimmed_length(const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    return length;
}

/* The URL of the folder `root`, seen from the folder `from` or, if that is NULL, from anywhere;
 * with a slash behind it. Both are absolute. malloc'ed, NULL without memory. */
static char *folder_url(const char *root, const char *from)
{
    const size_t length = trimmed_length(root), end = from ? trimmed_length(from) : 0,
                 shared = from ? shared_folders(root, length, from, end) : 0;
    char *url = malloc(16 + 3 * (end + length)), *to = url;
    if (!url) {
        return NULL;
    }
    to = stpcpy(to, from ? "./" : "file://");
    for (size_t i = shared; i < end; i++) {
        to = from[i] == '/' ? stpcpy(to, "../") : to;
    }
    const size_t rest = from && shared < length ? shared + 1 : shared;
    to = encode(to, root + rest, length - rest);
    if (!from || to[-1] != '/') { /* "file://" ends in no folder's slash */
        stpcpy(to, "/");
    }
    return url;
}

static json_t *describe_colourings(const attune_drawing *d, int *first)
{
    json_t *list = json_array();
    for (int by = 0, at = 0; by < ATTUNE_MAP_BY_COUNT; by++) {
        if (!d->there[by]) {
            continue;
        }
        const attune_map_colouring *c = &d->colourings[by];
        json_t *titles = json_array(), *sizes = json_array();
        for (uint32_t i = 0; i < c->count; i++) {
            json_array_append_new(titles, attune_json_text(c->titles[i]));
            json_array_append_new(sizes, json_integer(c->sizes[i]));
        }
        *first = by == (int)d->by ? at : *first;
        at++;
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name",
                                              attune_map_by_name((attune_map_by)by), "titles",
                                              titles, "sizes", sizes));
    }
    return list;
}

/* JSON in which no byte can end the script that it stands in. */
static attune_status put_about(FILE *out, const attune_drawing *d)
{
    const attune_map_tracks *t = d->tracks;
    int first = 0;
    json_t *colourings = describe_colourings(d, &first);
    char *file = NULL, *relative = NULL;
    if (t->root[0] == '/') {
        file = folder_url(t->root, NULL);
        relative = folder_url(t->root, d->folder);
    }
    json_t *about =
        json_pack("{s:o, s:s, s:I, s:I, s:i, s:s*, s:s*, s:o, s:i}", "title",
                  attune_json_text(d->title), "layout", d->layout, "tracks", (json_int_t)t->n,
                  "leftOut", (json_int_t)(t->rows - t->n), "neighbours", (int)shown_neighbours(d),
                  "file", file, "relative", relative, "colourings", colourings, "by", first);
    char *text = about ? json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    for (const char *c = text; c && *c; c++) {
        if (*c == '<') {
            fputs("\\u003c", out);
        } else {
            fputc(*c, out);
        }
    }
    const attune_status status = text ? ATTUNE_OK : attune_fail_memory("JSON", 0);
    free(text);
    json_decref(about);
    free(relative);
    free(file);
    return status;
}

static void put_text(FILE *out, const char *text)
{
    json_t *clean = attune_json_text(text); /* UTF-8 */
    for (const char *c = clean ? json_string_value(clean) : ""; *c; c++) {
        if (*c == '<' || *c == '&') {
            fputs(*c == '<' ? "&lt;" : "&amp;", out);
        } else {
            fputc(*c, out);
        }
    }
    json_decref(clean);
}

attune_status attune_page_write(FILE *out, const attune_drawing *drawing, const char *path)
{
    static const char *const places[] = {"@title@", "@css@", "@js@", "@about@", "@data@"};
    attune_status status = ATTUNE_OK;
    for (const char *c = attune_map_html; *c && status == ATTUNE_OK;) {
        size_t place = 0;
        while (place < 5 && strncmp(c, places[place], strlen(places[place])) != 0) {
            place++;
        }
        switch (place) {
        case 0:
            put_text(out, drawing->title);
            break;
        case 1:
            fputs(attune_map_css, out);
            break;
        case 2:
            fputs(attune_map_js, out);
            break;
        case 3:
            status = put_about(out, drawing);
            break;
        case 4:
            put_data(out, drawing);
            break;
        default:
            fputc(*c, out);
        }
        c += place < 5 ? strlen(places[place]) : 1;
    }
    return status == ATTUNE_OK && ferror(out)
               ? attune_fail(ATTUNE_EIO, "%s: cannot write: %s", path, strerror(errno))
               : status;
}
