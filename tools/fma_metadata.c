/* fma_metadata.c - FMA's columns and genres, filled with what makes reading them hard: commas,
 * quotes and lines in texts, names in other scripts, and nothing where something is expected. */
#include "tools/fma_metadata.h"

#include "model/random.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ID = 2, LAST_ID = 155320, STYLE_GENRES = 2 };

/* Of the 163 genres those that the rows use, and two that no row does. */
static const struct {
    int id, parent, top;
    const char *title;
} genres[] = {
    {2, 0, 2, "International"},
    {4, 0, 4, "Jazz"},
    {8, 0, 8, "Old-Time / Historic"},
    {10, 0, 10, "Pop"},
    {12, 0, 12, "Rock"},
    {15, 0, 15, "Electronic"},
    {17, 0, 17, "Folk"},
    {21, 0, 21, "Hip-Hop"},
    {25, 12, 12, "Punk"},
    {32, 38, 38, "Noise"},
    {38, 0, 38, "Experimental"},
    {46, 2, 2, "Latin America"},
    {76, 10, 10, "Experimental Pop"},
    {100, 21, 21, "Alternative Hip-Hop"},
    {103, 17, 17, "Singer-Songwriter"},
    {107, 1235, 1235, "Ambient"},
    {181, 15, 15, "Techno"},
    {1235, 0, 1235, "Instrumental"},
};
enum { GENRES = sizeof(genres) / sizeof(*genres) };

/* What a style's tracks may say: its top genre, or one below it. */
static const int style_genres[ATTUNE_DEMO_STYLES][STYLE_GENRES] = {
    {15, 181}, {38, 32}, {17, 103}, {21, 100}, {1235, 107}, {2, 46}, {10, 76}, {12, 25},
};

/* {x} is filled in for each row. */
static const struct {
    const char *group, *name, *value;
} columns[] = {
    {"album", "comments", "0"},
    {"album", "date_created", "2008-11-26 01:44:45"},
    {"album", "date_released", "{date}"},
    {"album", "engineer", ""},
    {"album", "favorites", "4"},
    {"album", "id", "{album}"},
    {"album", "information", "{information}"},
    {"album", "listens", "{listens}"},
    {"album", "producer", ""},
    {"album", "tags", "[]"},
    {"album", "title", "{album title}"},
    {"album", "tracks", "7"},
    {"album", "type", "Album"},
    {"artist", "active_year_begin", "{date}"},
    {"artist", "active_year_end", ""},
    {"artist", "associated_labels", ""},
    {"artist", "bio", "{bio}"},
    {"artist", "comments", "0"},
    {"artist", "date_created", "2008-11-26 01:42:32"},
    {"artist", "favorites", "9"},
    {"artist", "id", "{artist}"},
    {"artist", "latitude", "{latitude}"},
    {"artist", "location", "{location}"},
    {"artist", "longitude", "{longitude}"},
    {"artist", "members", ""},
    {"artist", "name", "{artist name}"},
    {"artist", "related_projects", ""},
    {"artist", "tags", "['{tag}', 'synthetic']"},
    {"artist", "website", "http://example.org/{artist}"},
    {"artist", "wikipedia_page", ""},
    {"set", "split", "{split}"},
    {"set", "subset", "{subset}"},
    {"track", "bit_rate", "128000"},
    {"track", "comments", "0"},
    {"track", "composer", ""},
    {"track", "date_created", "2008-11-26 01:48:12"},
    {"track", "date_recorded", ""},
    {"track", "duration", "{seconds}"},
    {"track", "favorites", "2"},
    {"track", "genre_top", "{genre top}"},
    {"track", "genres", "{genres}"},
    {"track", "genres_all", "{genres all}"},
    {"track", "information", ""},
    {"track", "interest", "{listens}"},
    {"track", "language_code", "en"},
    {"track", "license", "Creative Commons Zero, 1.0: \"no rights reserved\""},
    {"track", "listens", "{listens}"},
    {"track", "lyricist", ""},
    {"track", "number", "{number}"},
    {"track", "publisher", ""},
    {"track", "tags", "[]"},
    {"track", "title", "{title}"},
};
enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

static const char *const names[] = {"The Quiet Engines",
                                    "Café del Río",
                                    "Smith, Jones & Sons",
                                    "夜の電車",
                                    "\"Little\" Ada",
                                    "D.J. O'Neil",
                                    "Оркестр",
                                    "Blue Harbour",
                                    "Nineteen & Counting",
                                    "NaN",
                                    "Mañana",
                                    "  spaces  "};
static const char *const titles[] = {"Morning Train",
                                     "Don't \"Stop\", Now",
                                     "Two\nLines",
                                     "Étude No. 3",
                                     "",
                                     "1,000 Miles",
                                     "#4 (feat. Ada)",
                                     "Untitled",
                                     "N/A",
                                     "☃",
                                     "Rain; Wind; Snow",
                                     "'Quoted'",
                                     "back\\slash",
                                     "Carriage\r\nReturn",
                                     "A",
                                     "Long Way Down the River and Home"};
enum { NAMES = sizeof(names) / sizeof(*names), TITLES = sizeof(titles) / sizeof(*titles) };

static int by_nothing(const attune_demo_track *music)
{
    return (int)(attune_random_of(music->seed, music->number + 1000003u * (unsigned)music->style)
                     .state >>
                 33);
}

/* Which of its style's genres a track names. */
static int genre_of(const attune_demo_track *music)
{
    return style_genres[music->style][by_nothing(music) % 3 == 0];
}

/* Artists do not cross from one split to another, nor do they in FMA. */
static const char *split_of(const attune_demo_track *music)
{
    const uint32_t artist = music->artist % 10;
    return artist == 1 ? "validation" : artist == 2 ? "test" : "training";
}

static int genre_at(int id)
{
    for (int g = 0; g < GENRES; g++) {
        if (genres[g].id == id) {
            return g;
        }
    }
    abort();
}

fma_track *fma_plan(int count, uint64_t seed, int *rows)
{
    /* Five tracks of an artist where there are many, three on one album and two on another; two, on
     * one album, where that still leaves each split an artist of each style. */
    const int of_style = (count + ATTUNE_DEMO_STYLES - 1) / ATTUNE_DEMO_STYLES;
    const int of_artist = of_style >= 50   ? 5
                          : of_style >= 30 ? of_style / 10
                          : of_style >= 6  ? 2
                                           : 1;
    const int without = count / 10 + 3, all = count + without, apart = (LAST_ID - FIRST_ID) / all;
    attune_random random = attune_random_of(seed, 0);
    fma_track *tracks = calloc((size_t)all, sizeof(*tracks));
    if (!tracks) {
        return NULL;
    }
    for (int i = 0; i < all; i++) {
        const int number = i / ATTUNE_DEMO_STYLES;
        tracks[i].has_file = i < count;
        tracks[i].music = (attune_demo_track){.seed = seed,
                                              .style = i % ATTUNE_DEMO_STYLES,
                                              .artist = (uint32_t)(number / of_artist),
                                              .album = (uint32_t)(number % of_artist / 3),
                                              .number = (uint32_t)number};
    }
    for (int i = all - 1; i > 0; i--) { /* genres are spread over the ids */
        const uint32_t other = attune_random_below(&random, (uint32_t)i + 1);
        const fma_track moved = tracks[i];
        tracks[i] = tracks[other];
        tracks[other] = moved;
    }
    for (int i = 0; i < all; i++) {
        tracks[i].id = FIRST_ID + i * apart + (int)attune_random_below(&random, (uint32_t)apart);
    }
    *rows = all;
    return tracks;
}

/* What stands for {name} in a row. */
static void fill_in(char *out, size_t size, const char *name, const fma_track *track, int seconds)
{
    const attune_demo_track *music = &track->music;
    const int some = by_nothing(music), genre = genre_of(music);
    const int top = genres[genre_at(genre)].top;
    const int artist = 1 + music->style + ATTUNE_DEMO_STYLES * (int)music->artist;
    const bool placed = artist % 3 != 0;
    const struct {
        const char *name, *text;
        int number;
    } fields[] = {
        {"album", NULL, 2 * artist + (int)music->album},
        {"artist", NULL, artist},
        {"listens", NULL, some % 20000},
        {"number", NULL, 1 + (int)music->number % 5},
        {"seconds", NULL, seconds},
        {"date", artist % 4 == 0 ? "" : "2006-01-01 00:00:00", 0},
        {"information", artist % 5 == 0 ? "" : "<p>Made by a machine,\nfor \"machines\"</p>", 0},
        {"bio", artist % 2 == 0 ? "" : "<p>Lives in a table,</p>\r\n<p>says \"hello\"</p>", 0},
        {"latitude", placed ? "40.0583238" : "", 0},
        {"longitude", placed ? "-74.4056612" : "", 0},
        {"location", placed ? "Zürich, \"Kreis 5\"" : "", 0},
        {"tag", attune_demo_style_name(music->style), 0},
        {"album title", titles[(artist + (int)music->album) % TITLES], 0},
        {"title", titles[some % TITLES], 0},
        {"split", split_of(music), 0},
        {"subset",
         track->has_file    ? "small"
         : music->style % 2 ? "medium"
                            : "large",
         0},
        {"genre top", track->has_file ? genres[genre_at(top)].title : "", 0},
    };
    *out = '\0';
    if (strcmp(name, "artist name") == 0) { /* only some have one that others have, too */
        snprintf(out, size, artist < NAMES ? "%s" : "%s %d", names[artist % NAMES], artist);
    } else if (strcmp(name, "genres") == 0 && track->has_file) {
        snprintf(out, size, "[%d]", genre);
    } else if (strcmp(name, "genres all") == 0 && track->has_file) {
        snprintf(out, size, genre == top ? "[%d]" : "[%d, %d]", genre, top);
    } else if (strncmp(name, "genres", 6) ==
               0) { /* of two tops, or of none: then none is the top */
        snprintf(out, size, some % 2 ? "[]" : "[%d, 4]", top);
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (strcmp(fields[i].name, name) == 0 && fields[i].text) {
            snprintf(out, size, "%s", fields[i].text);
        } else if (strcmp(fields[i].name, name) == 0) {
            snprintf(out, size, "%d", fields[i].number);
        }
    }
}

/* A cell, in quotes where it needs them. */
static void write_cell(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    fputc('"', file);
}

static void write_value(FILE *file, const char *value, const fma_track *track, int seconds)
{
    const char *open = strchr(value, '{'), *close = open ? strchr(open, '}') : NULL;
    char cell[512], name[32], text[256];
    if (!close) {
        write_cell(file, value);
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(close - open - 1), open + 1);
    fill_in(text, sizeof(text), name, track, seconds);
    snprintf(cell, sizeof(cell), "%.*s%s%s", (int)(open - value), value, text, close + 1);
    write_cell(file, cell);
}

void fma_write_tracks(FILE *file, const fma_track *tracks, int rows, int seconds)
{
    for (int c = 0; c < COLUMNS; c++) {
        fprintf(file, ",%s", columns[c].group);
    }
    fputc('\n', file);
    for (int c = 0; c < COLUMNS; c++) {
        fprintf(file, ",%s", columns[c].name);
    }
    fputs("\ntrack_id", file);
    for (int c = 0; c < COLUMNS; c++) {
        fputc(',', file);
    }
    fputc('\n', file);
    for (int i = 0; i < rows; i++) {
        fprintf(file, "%d", tracks[i].id);
        for (int c = 0; c < COLUMNS; c++) {
            fputc(',', file);
            write_value(file, columns[c].value, &tracks[i], seconds);
        }
        fputc('\n', file);
    }
}

void fma_write_genres(FILE *file, const fma_track *tracks, int rows)
{
    int counts[GENRES] = {0};
    for (int i = 0; i < rows; i++) {
        const int genre = genre_at(genre_of(&tracks[i].music));
        const int top = genre_at(genres[genre].top);
        const bool both = !tracks[i].has_file && by_nothing(&tracks[i].music) % 2 == 0;
        counts[top] += tracks[i].has_file || both;
        counts[genre] += tracks[i].has_file && genre != top;
        counts[genre_at(4)] += both;
    }
    fputs("genre_id,#tracks,parent,title,top_level\n", file);
    for (int g = 0; g < GENRES; g++) {
        fprintf(file, "%d,%d,%d,%s,%d\n", genres[g].id, counts[g], genres[g].parent,
                genres[g].title, genres[g].top);
    }
}
