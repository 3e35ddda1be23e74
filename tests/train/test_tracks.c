/* test_tracks.c - ids, names and paths find their files; what is missing or doubtful is said. */
#include "tests/support/support.h"
#include "tests/train/audio_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREE "000/000002.mp3 123/123456.mp3 train/e132bbc642.opus val/odd.name.flac Song.ogg 0.wav"

/* The end of the path that a name finds; NULL if none. */
static const char *found(attune_tracks *tracks, const char *name)
{
    uint32_t track = 0;
    assert_ok(attune_tracks_find(&track, tracks, name));
    const size_t root = strlen(temporary_folder()) + strlen("/music/");
    return track == ATTUNE_NO_TRACK ? NULL : attune_tracks_entries(tracks)[track].path + root;
}

Test(tracks, are_found_by_id_name_and_path)
{
    static const struct {
        const char *name, *path; /* NULL: none */
    } cases[] = {
        {"2", "000/000002.mp3"},
        {"000002", "000/000002.mp3"},
        {"000/000002.mp3", "000/000002.mp3"},
        {"./000/../000/000002.mp3", "000/000002.mp3"},
        {"000002.mp3", "000/000002.mp3"},
        {"2.wav", "000/000002.mp3"},
        {"123456", "123/123456.mp3"},
        {"e132bbc642", "train/e132bbc642.opus"},
        {"odd.name", "val/odd.name.flac"},
        {"odd.name.flac", "val/odd.name.flac"},
        {"Song.ogg", "Song.ogg"},
        {"0", "0.wav"},
        {"000", "0.wav"},
        {"3", NULL},
        {"", NULL},
        {"odd", NULL},
        {"song", NULL},
        {"other/000002.mp3", NULL},
        {"000", "0.wav"},
    };
    char *folder = make_tree("music", TREE);
    attune_tracks *tracks = open_tracks(folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *path = found(tracks, cases[i].name);
        cr_assert(path == cases[i].path || (path && cases[i].path && !strcmp(path, cases[i].path)),
                  "%s finds %s", cases[i].name, path ? path : "nothing");
    }
    cr_assert_eq(attune_tracks_count(tracks), 6);
    cr_assert_eq(attune_tracks_missing(tracks), 5);
    char *absolute = temporary_path("music/000/000002.mp3");
    cr_assert_str_eq(found(tracks, absolute), "000/000002.mp3");
    for (uint32_t i = 0; i < attune_tracks_count(tracks); i++) {
        cr_assert_str_eq(attune_tracks_entries(tracks)[i].path,
                         attune_tracks_places(tracks)[i].path);
    }
    cr_assert_str_eq(attune_tracks_entries(tracks)[0].id, "2");
    attune_tracks_close(tracks);
    free(absolute);
    free(folder);
}

Test(tracks, of_a_manifest_have_its_labels)
{
    char *folder = make_tree("music", TREE " source/song.mp3 train/cc.opus");
    char *manifest =
        make_text("m.csv", "id,split,group,artist,album,source,path,genre\r\n"
                           "e132bbc642,train,\"a, b\",saturn,,web,music/academy.ogg,Rock\r\n"
                           "cc,val,g2,saturn,x,web,source/song.mp3,\r\n"
                           "2,train,\"a, b\",\"say \"\"mu\"\"\",x,web,,Rock\r\n");
    attune_tracks *tracks = open_tracks(folder);
    assert_ok(attune_tracks_add_manifest(tracks, manifest));
    const attune_tracks_entry *e = attune_tracks_entries(tracks);
    cr_assert_eq(attune_tracks_count(tracks), 3);
    cr_assert_eq(attune_tracks_check(tracks), ATTUNE_OK);
    cr_assert(strstr(e[0].path, "/train/e132bbc642.opus"));
    cr_assert(strstr(e[1].path, "/source/song.mp3"), "a path that is there comes before the id");
    cr_assert(strstr(e[2].path, "/000/000002.mp3"));
    static const int32_t labels[3][ATTUNE_LABEL_COUNT] = {
        {0, 0, 0, -1, 0}, {1, 1, 0, 0, -1}, {0, 0, 1, 0, 0}};
    for (int i = 0; i < 3; i++) {
        cr_assert_arr_eq(e[i].label, labels[i], sizeof(labels[i]), "track %d", i);
    }
    cr_assert_eq(attune_tracks_label_count(tracks, ATTUNE_LABEL_ARTIST), 2);
    cr_assert_str_eq(attune_tracks_label_name(tracks, ATTUNE_LABEL_ARTIST, 1), "say \"mu\"");
    cr_assert_str_eq(attune_tracks_label_name(tracks, ATTUNE_LABEL_GROUP, 0), "a, b");
    cr_assert_eq(attune_tracks_label_count(tracks, ATTUNE_LABEL_SPLIT), 2);
    cr_assert_str_eq(attune_tracks_label_name(tracks, ATTUNE_LABEL_SPLIT, 1), "val");
    attune_tracks_close(tracks);
    free(manifest);
    free(folder);
}

Test(tracks, all_of_a_folder)
{
    char *folder = make_tree("music", TREE " notes.txt");
    attune_tracks *tracks = open_tracks(folder);
    cr_assert_eq(attune_tracks_add_all(tracks), ATTUNE_OK);
    cr_assert_eq(attune_tracks_count(tracks), 6);
    cr_assert_str_eq(found(tracks, "2"), "000/000002.mp3");
    cr_assert_eq(attune_tracks_count(tracks), 6);
    attune_tracks_close(tracks);
    free(folder);
}

Test(tracks, that_are_missing_are_listed)
{
    char *folder = make_tree("music", TREE);
    attune_tracks *tracks = open_tracks(folder);
    char name[16];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof(name), "%d", 1000 + i % 13);
        cr_assert_null(found(tracks, name));
    }
    assert_refused(attune_tracks_check(tracks), ATTUNE_ENOINPUT,
                   "has no file of 13 tracks that were named: 1000, 1001, 1002, 1003, 1004, 1005, "
                   "1006, 1007, 1008, 1009 and 3 more");
    cr_assert(strstr(attune_last_error(), "music"));
    attune_tracks_close(tracks);
    free(folder);
}

Test(tracks, of_two_files_are_refused_by_id_and_found_by_path)
{
    char *folder = make_tree("music", "a/7.mp3 b/007.ogg b/8.ogg");
    attune_tracks *tracks = open_tracks(folder);
    uint32_t track = 0;
    assert_refused(attune_tracks_find(&track, tracks, "7"), ATTUNE_EDATA, "is two files");
    cr_assert(strstr(attune_last_error(), "a/7.mp3") && strstr(attune_last_error(), "b/007.ogg"));
    cr_assert_str_eq(found(tracks, "b/007.ogg"), "b/007.ogg");
    cr_assert_str_eq(found(tracks, "a/7.mp3"), "a/7.mp3");
    cr_assert_str_eq(found(tracks, "8"), "b/8.ogg");
    attune_tracks_close(tracks);
    free(folder);
}

/* A scan keeps a link's own name; a path may come to it by any way. */
Test(tracks, that_are_links_are_found_by_any_spelling)
{
    char *folder = make_tree("music", "a/1.mp3 b/2.mp3");
    cr_assert_eq(run_command("cd '%s' && mkdir other && mv music/a/1.mp3 other/x.mp3 && "
                             "ln -s ../../other/x.mp3 music/a/1.mp3",
                             temporary_folder()),
                 0);
    attune_tracks *tracks = open_tracks(folder);
    cr_assert_str_eq(found(tracks, "./a/1.mp3"), "a/1.mp3");
    cr_assert_str_eq(found(tracks, "b/../a//1.mp3"), "a/1.mp3");
    cr_assert_str_eq(found(tracks, "a/../b/2.mp3"), "b/2.mp3");
    cr_assert_null(found(tracks, "./a/3.mp3"));
    attune_tracks_close(tracks);
    free(folder);
}

Test(tracks, are_also_found_by_the_id_that_a_manifest_gives_a_path)
{
    char *folder = make_tree("music", TREE),
         *again = make_text("again.csv", "id,path\n07,123/123456.mp3\n"),
         *manifest = make_text("m.csv", "id,path\n7,Song.ogg\n2,val/odd.name.flac\nx,\n0,\n");
    attune_tracks *tracks = open_tracks(folder);
    assert_ok(attune_tracks_add_manifest(tracks, manifest));
    cr_assert_eq(attune_tracks_missing(tracks), 1); /* x */
    cr_assert_str_eq(found(tracks, "007"), "Song.ogg");
    cr_assert_str_eq(found(tracks, "2"), "val/odd.name.flac");
    cr_assert_str_eq(found(tracks, "000/000002.mp3"), "000/000002.mp3");
    cr_assert_str_eq(found(tracks, "odd.name"), "val/odd.name.flac");
    cr_assert_str_eq(found(tracks, "0"), "0.wav");
    attune_tracks_close(tracks);
    tracks = open_tracks(folder);
    cr_assert_eq(attune_tracks_add_manifest(tracks, manifest), ATTUNE_OK);
    assert_refused(attune_tracks_add_manifest(tracks, again), ATTUNE_EDATA, "is listed twice");
    attune_tracks_close(tracks);
    free(again);
    free(manifest);
    free(folder);
}

/* A file may be called so, and people put spaces behind commas. */
Test(tracks, are_found_with_spaces_around_their_names)
{
    char *folder = make_tree("music", TREE);
    make_file(folder, " lead.mp3");
    char *manifest = make_text("m.csv", "genre, path , id, split\n"
                                        "Rock, lead.mp3,9,test\n"
                                        "Rock , 0.wav, 8, test\n"
                                        "Pop,Song.ogg , , train\n");
    attune_tracks *tracks = open_tracks(folder);
    assert_ok(attune_tracks_add_manifest(tracks, manifest));
    cr_assert_eq(attune_tracks_missing(tracks), 0);
    cr_assert_str_eq(found(tracks, "9"), " lead.mp3");
    cr_assert_str_eq(found(tracks, " lead.mp3"), " lead.mp3");
    cr_assert_str_eq(found(tracks, " 8 "), "0.wav");
    cr_assert_str_eq(found(tracks, " Song.ogg"), "Song.ogg");
    cr_assert_eq(attune_tracks_label_count(tracks, ATTUNE_LABEL_GENRE), 2);
    cr_assert_eq(attune_tracks_label_count(tracks, ATTUNE_LABEL_SPLIT), 2);
    attune_tracks_close(tracks);
    free(manifest);
    free(folder);
}

/* Rows are found so, too, but those that are called what is asked for come first. */
Test(tracks, of_rows_are_found_without_the_spaces_around_them)
{
    char *const rows[] = {" f/a.mp3", "f/b.mp3", "f/b.mp3 ", "f/c.mp3 ", "\tf/c.mp3", "f/d.mp3 "};
    static const struct {
        const char *name;
        uint32_t track;
    } cases[] = {{"f/a.mp3", 0},  {" f/a.mp3", 0},  {"f/a.mp3 ", 0},
                 {"f/b.mp3", 1},  {" f/b.mp3", 1},  {"f/b.mp3 ", 2},
                 {"f/c.mp3 ", 3}, {"\tf/c.mp3", 4}, {"f/c.mp3", ATTUNE_NO_TRACK},
                 {"f/d.mp3", 5},  {"a", 0},         {"", ATTUNE_NO_TRACK}};
    attune_tracks *tracks = NULL;
    assert_ok(attune_tracks_open_rows(&tracks, rows, NULL, sizeof(rows) / sizeof(rows[0])));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t track = 0;
        assert_ok(attune_tracks_look_up(&track, tracks, cases[i].name));
        cr_assert_eq(track, cases[i].track, "\"%s\": %u", cases[i].name, track);
    }
    attune_tracks_close(tracks);
}

/* Whatever their length, ids are told apart. */
Test(tracks, have_ids_of_any_length)
{
    enum { LENGTH = 5000 };
    char *id = malloc(LENGTH + 1);
    attune_tracks *tracks = NULL;
    uint32_t first = 0, second = 0;
    memset(id, 'x', LENGTH);
    id[LENGTH] = '\0';
    assert_ok(attune_tracks_open_names(&tracks));
    assert_ok(attune_tracks_find(&first, tracks, id));
    id[LENGTH - 1] = 'y';
    assert_ok(attune_tracks_find(&second, tracks, id));
    cr_assert_neq(first, second);
    id[0] = '/';
    assert_ok(attune_tracks_find(&first, tracks, id));
    id[LENGTH - 1] = 'x';
    assert_ok(attune_tracks_find(&second, tracks, id));
    cr_assert_neq(first, second);
    attune_tracks_close(tracks);
    free(id);
}

Test(tracks, refuse_other_manifests)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1: the file is empty"},
        {"id,split\n", "line 1: the file ends here without a track"},
        {"name,split\n2,train\n", "line 1: has no column \"id\" or \"path\""},
        {"id,split,id\n2,train,2\n", "line 1: the column id stands in the header twice"},
        {"id,split\n2,train\n123456\n", "line 3: has 1 fields, and the header 2"},
        {"id,split\n2,train,rock\n", "line 2: has 3 fields, and the header 2"},
        {"id,split\n2,train\n\n,train\n", "line 4: names no track"},
        {"id,split\n2,train\n123456,val\n000002,val\n", "line 4: the track 000002 is listed twice"},
        {"id,split\n2,\"train\n", "line 2: a quote in the row that begins here is never closed"},
    };
    char *folder = make_tree("music", TREE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_tracks *tracks = open_tracks(folder);
        char *manifest = make_text("m.csv", cases[i].text);
        assert_refused(attune_tracks_add_manifest(tracks, manifest), ATTUNE_EDATA,
                       cases[i].message);
        cr_assert(strstr(attune_last_error(), manifest));
        attune_tracks_close(tracks);
        free(manifest);
    }
    attune_tracks *tracks = open_tracks(folder);
    assert_refused(attune_tracks_add_manifest(tracks, "/nowhere/m.csv"), ATTUNE_ENOINPUT,
                   "/nowhere/m.csv: No such file");
    assert_refused(attune_tracks_add_manifest(tracks, folder), ATTUNE_ENOINPUT, "is a folder");
    attune_tracks_close(tracks);
    cr_assert_eq(attune_tracks_open(&tracks, "/nowhere"), ATTUNE_ENOINPUT);
    cr_assert_null(tracks);
    free(folder);
}
