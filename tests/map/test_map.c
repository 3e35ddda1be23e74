/* test_map.c - `attune map` as a user runs it. */
#include "store/cluster_column.h"
#include "store/parts.h"
#include "tests/store/store_support.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { E = 8, NASTY = 11 };

static const char *attune;

/* Runs `attune map ARGUMENTS`: its exit code must be `code`, and stderr hold `text`. */
static void map(int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s map %s", attune, arguments);
}

/* Sorted, as bytes. */
static const char *const nasty[NASTY] = {
    "\n/\"'.mp3",
    " ",
    "<!--<script>",
    "</script><script>alert(1)</script>.mp3",
    "@data@@css@",
    "\\\\u0000\\",
    "`cd ..; touch run`/'it''s' \"$(touch run)\"",
    "a\tb/c",
    "a\tb/cd]]>",
    "caf\xc3\xa9/\xe2\x80\xae.ogg",
    "\xff\xfe<&amp;.mp3",
};

/* An output of `count` rows with a vector, and as many without as `failed`: names are nasty ones,
 * then numbers. Their bytes in hexadecimal go to "names". */
static void write_output(const char *path, int count, int failed, bool equal, bool labels)
{
    attune_store_attributes attributes = test_attributes(E);
    attributes.root = "/music/a b";
    attributes.labels = labels;
    attune_rows *rows = NULL;
    uint64_t state = 9;
    FILE *names = fopen("names", "w");
    assert_ok(attune_rows_create(&rows, E));
    for (int i = 0; i < count + failed; i++) {
        char number[40];
        float vector[E];
        snprintf(number, sizeof(number), "\xff\xff%05d", i);
        const char *name = i < NASTY ? nasty[i] : number;
        double square = 0;
        for (int e = 0; e < E; e++) {
            vector[e] = equal ? 0.25f : random_uniform(&state) + (e == i % 3 ? 4 : 0);
            square += (double)vector[e] * (double)vector[e];
        }
        for (int e = 0; e < E; e++) { /* of length 1, as embeddings are */
            vector[e] /= (float)sqrt(square);
        }
        attune_labels label = {.track_id = i, .artist_id = i % 4, .album_id = -1};
        snprintf(label.genre_top, sizeof(label.genre_top), "%s", i % 3 ? "Rock </script>&" : "");
        const attune_row row = {.path = name,
                                .status = i < count ? ATTUNE_TRACK_OK : ATTUNE_TRACK_CANNOT_OPEN,
                                .error = i < count ? "" : "gone",
                                .embedding = i < count ? vector : NULL,
                                .labels = labels ? &label : NULL};
        assert_ok(attune_rows_append(rows, &row));
        for (const char *c = name; *c && i < count; c++) {
            fprintf(names, "%02x", (unsigned char)*c);
        }
        fputs(i < count ? "\n" : "", names);
    }
    cr_assert_eq(fclose(names), 0);
    write_rows(path, &attributes, rows);
    attune_rows_free(rows);
}

/* The page's description of itself; "about" keeps it. */
static char *check_page(const char *page)
{
    cr_assert_eq(run_command(CHECK_PAGE " %s names >about", page), 0, "%s is not well-formed",
                 page);
    return read_file("about", NULL);
}

Test(map, pages_hold_any_name)
{
    attune = prepare_command();
    write_output("a<b&\"@data@.h5", 40, 5, false, true);
    map(0, "40 tracks, 5 rows without a vector left out, 3 clusters in ",
        "'a<b&\"@data@.h5' -o map.html --clusters 3 --iterations 60");
    char *about = check_page("map.html");
    cr_assert(strstr(about, "\"title\": \"a<b&\\\"@data@.h5\""), "%s", about);
    cr_assert(strstr(about, "\"file\": \"file:///music/a%20b/\""), "%s", about);
    cr_assert(strstr(about, "\"leftOut\": 5"), "%s", about);
    cr_assert(
        strstr(about, "\"name\": \"genre\", \"titles\": [\"Rock </script>&\", \"not known\"]"),
        "%s", about);
    cr_assert(strstr(about, "\"name\": \"artist\""), "%s", about);
    cr_assert(!strstr(about, "\"name\": \"album\""), "%s", about);
    cr_assert(strstr(about, "\"name\": \"cluster\""), "%s", about);
    cr_assert(strstr(about, "caf\\u00e9"), "no folder: %s", about);
    free(about);
}

Test(map, is_the_same_with_any_number_of_threads)
{
    attune = prepare_command();
    write_output("in.h5", 700, 0, false, false);
    map(0, "700 tracks", "in.h5 -o a.html --clusters 4 --method gmm -j 1 --iterations 40");
    map(0, "", "in.h5 -o b.html --clusters 4 --method gmm -j 4 --iterations 40");
    map(0, "", "in.h5 -o c.html --clusters 4 --method gmm -j 4 --iterations 40 --seed 2");
    cr_assert_eq(run_command("cmp a.html b.html && ! cmp -s a.html c.html"), 0);
    free(check_page("a.html"));
}

Test(map, where_the_page_finds_the_music)
{
    static const struct {
        const char *root, *wanted;
    } cases[] = {{"%s/music", "\"relative\": \"./../music/\""},
                 {"%s", "\"relative\": \"./../\""},
                 {"%s/page", "\"relative\": \"./\""},
                 {"%s/page/x#y", "\"relative\": \"./x%23y/\""},
                 {"%s/pa", "\"relative\": \"./../pa/\""},
                 {"/music", "\"file\": \"file:///music/\""},
                 {"/", "\"file\": \"file:///\""}};
    attune = prepare_command();
    cr_assert_eq(mkdir("page", 0777), 0);
    char *here = realpath(".", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_store_attributes attributes = test_attributes(E);
        attune_rows *rows = NULL;
        char root[600];
        const float vector[E] = {1};
        const attune_row row = {.path = "x", .error = "", .embedding = vector};
        snprintf(root, sizeof(root), cases[i].root, here);
        attributes.root = root;
        assert_ok(attune_rows_create(&rows, E));
        assert_ok(attune_rows_append(rows, &row));
        write_rows("in.h5", &attributes, rows);
        attune_rows_free(rows);
        write_file("names", "78\n", 3);
        map(0, "1 track in", "in.h5 -f -o page/map.html");
        char *about = check_page("page/map.html");
        cr_assert(strstr(about, cases[i].wanted), "%s: no %s in %s", root, cases[i].wanted, about);
        free(about);
    }
    free(here);
}

Test(map, few_tracks_and_equal_ones)
{
    attune = prepare_command();
    for (int n = 1; n <= 12; n += n < 2 ? 1 : 10) {
        for (int equal = 0; equal < 2; equal++) {
            write_output("in.h5", n, equal, equal, false);
            map(0, n == 1 ? "1 track" : " tracks",
                "in.h5 -f -o map.html --clusters auto --iterations 100");
            free(check_page("map.html"));
        }
    }
    map(0, "", "in.h5 -f -o map.html --layout pca --colour-by status");
    free(check_page("map.html"));
}

Test(map, pictures)
{
    attune = prepare_command();
    if (run_command("command -v gnuplot >gnuplot") != 0) {
        skip_test("gnuplot is not installed");
    }
    write_output("in.h5", 30, 0, false, true);
    map(0, "30 tracks", "in.h5 -o map.png --layout pca --colour-by folder");
    map(0, "30 tracks", "in.h5 -o map.svg --layout pca --colour-by genre");
    size_t size = 0;
    char *png = read_file("map.png", &size), *svg = read_file("map.svg", NULL);
    cr_assert(size > 1000 && memcmp(png, "\x89PNG", 4) == 0);
    cr_assert(strstr(svg, "</svg>") && strstr(svg, "Rock &lt;/script>&amp; (20)"), "%s", svg);
    free(png);
    free(svg);
    check_command(0, "30 tracks",
                  "TMPDIR=. %s map in.h5 -f -o map.svg --layout pca "
                  "--colour-by folder",
                  attune);
    svg = read_file("map.svg", NULL);
    cr_assert(strstr(svg, ">`cd ..; touch run` (1)<"), "%s", svg);
    cr_assert_eq(run_command("test -e run"), 1, "a folder's name was executed");
    free(svg);
    cr_assert_eq(
        run_command("PATH=/nowhere TMPDIR=. %s map in.h5 -o x.png --layout pca 2>err", attune), 78);
    cr_assert_eq(run_command("grep -q '^attune: x.png: .*gnuplot is not installed (package "
                             "gnuplot-nox)$' err && ! ls -A | grep -E "
                             "'^x|attune-map|tmp'"),
                 0);
}

/* Of folders that are cut within a character, are not UTF-8, or are what XML cannot hold. */
Test(map, pictures_are_xml)
{
    static const char *const names[] = {
        "Sigur R\xc3\xb3s - \xc3\x81g\xc3\xa6tis byrjun (Remastered, Deluxe Edici\xc3\xb3n, "
        "\xc3\xb1"
        "and\xc3\xba\xc3\xb1) \xc5\xbdiv\xc3\xa9/a",
        "]]>/a",
        "a&#x1;]]>/a",
        "b\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd/a",
        "\xff\xfe/a",
    };
    attune_store_attributes attributes = test_attributes(E);
    attune_rows *rows = NULL;
    attune = prepare_command();
    if (run_command("command -v gnuplot >gnuplot") != 0) {
        skip_test("gnuplot is not installed");
    }
    assert_ok(attune_rows_create(&rows, E));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const float vector[E] = {1, (float)i};
        const attune_row row = {.path = names[i], .error = "", .embedding = vector};
        assert_ok(attune_rows_append(rows, &row));
    }
    write_rows("\xff.h5", &attributes, rows);
    attune_rows_free(rows);
    map(0, "5 tracks", "\xff.h5 -o map.svg --layout pca --colour-by folder");
    cr_assert_eq(run_command("/usr/bin/python3 -c 'import xml.dom.minidom as d; "
                             "print(*(t.firstChild.data for t in "
                             "d.parse(\"map.svg\").getElementsByTagName(\"text\")), sep=\"\\n\")' "
                             ">texts"),
                 0);
    char *texts = read_file("texts", NULL);
    cr_assert(strstr(texts, "Deluxe Edici\xc3\xb3n, (1)\n"), "%s", texts);
    cr_assert(strstr(texts, "\nb\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd (1)\n"), "%s", texts);
    cr_assert(strstr(texts, "\n\xef\xbf\xbd\xef\xbf\xbd (1)\n"), "%s", texts);
    free(texts);
}

Test(map, writes_clusters_into_the_output)
{
    attune = prepare_command();
    if (run_command("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        skip_test("python3-h5py is not installed");
    }
    write_output("in.h5", 31, 4, false, true);
    cr_assert_eq(run_command("%s export in.h5 -a -q -o before.csv", attune), 0);
    map(0, "31 tracks, 4 rows without a vector left out, 3 clusters in",
        "in.h5 --clusters auto --write-clusters");
    cr_assert_eq(
        run_command("/usr/bin/python3 -c \"import h5py; c = h5py.File('in.h5')['cluster']; "
                    "v = list(c); assert c.dtype == '<i4' and v[31:] == [-1] * 4, v; "
                    "assert len(set(v[:31])) == 3, v; "
                    "assert all(v[i] == v[i %% 3] for i in range(31)), v; "
                    "assert c.attrs['method'].startswith(b'kmeans, K = 3 by the gap')\""),
        0);
    /* All else is as it was; a second time takes the place of the first. */
    cr_assert_eq(run_command("%s export in.h5 -a -q -o after.csv && cmp before.csv after.csv && "
                             "%s info in.h5 >info && cp in.h5 once.h5",
                             attune, attune),
                 0);
    map(0, "5 clusters", "in.h5 --clusters 5 --method gmm --covariance diagonal --write-clusters");
    struct stat once, twice;
    cr_assert(stat("once.h5", &once) == 0 && stat("in.h5", &twice) == 0);
    cr_assert_lt(twice.st_size, once.st_size + 4096);
    cr_assert_eq(run_command("! cmp -s in.h5 once.h5 && ! ls -A | grep -E 'tmp|parts'"), 0);
    /* merge writes anew and leaves them out. */
    cr_assert_eq(run_command("%s merge -q -o merged.h5 in.h5 2>err && ! h5dump -n merged.h5 | grep "
                             "-q cluster",
                             attune),
                 0);
}

Test(map, does_not_write_where_it_must_not)
{
    attune = prepare_command();
    write_output("in.h5", 31, 4, false, true);
    cr_assert_eq(run_command("cp in.h5 copy.h5"), 0);
    attune_parts *parts = NULL;
    assert_ok(attune_parts_open(&parts, "in.h5"));
    map(75, "in.h5", "in.h5 --clusters 2 --write-clusters");
    assert_ok(attune_parts_mark(parts, ATTUNE_MARK_FRESH));
    attune_parts_close(parts);
    map(75, "has not come to its end", "in.h5 --clusters 2 --write-clusters");
    cr_assert_eq(run_command("rm -r in.h5.parts"), 0);
    cr_assert_eq(run_command("(trap '' XFSZ; ulimit -f 4; %s map in.h5 --clusters 2 "
                             "--write-clusters 2>err)",
                             attune),
                 74);
    cr_assert_eq(run_command("cmp in.h5 copy.h5 && ! ls -A | grep -E 'tmp|parts'"), 0);
    if (run_command("/usr/bin/python3 -c 'import h5py; "
                    "h5py.File(\"in.h5\", \"a\")[\"cluster\"] = [1, 2]' 2>/dev/null") == 0) {
        map(65, "attune did not write", "in.h5 --clusters 2 --write-clusters");
    }
    int32_t clusters[3] = {0};
    assert_fails(attune_clusters_write("copy.h5", clusters, 3, "none"), ATTUNE_EDATA,
                 "has changed meanwhile");
}

Test(map, says_what_is_wrong)
{
    attune = prepare_command();
    write_output("in.h5", 8, 2, false, false);
    write_output("none.h5", 0, 3, false, false);
    write_output("empty.h5", 0, 0, false, false);
    write_file("garbage.h5", "no HDF5", 7);
    write_file("notes.html", "mine", 4);
    map(64, "one OUT.h5 is needed", "-o x.html");
    map(64, "-o MAP.html is needed", "in.h5");
    map(64, "-o x.txt: give a name in .html", "in.h5 -o x.txt");
    map(64, "9 clusters of 8 tracks", "in.h5 -o x.html --clusters 9");
    map(64, "--clusters (or auto) 0: not a number", "in.h5 -o x.html --clusters 0");
    map(64, "--method needs --clusters", "in.h5 -o x.html --method gmm");
    map(64, "--covariance is of --method gmm", "in.h5 -o x.html --clusters 2 --covariance full");
    map(64, "--method tree: neither kmeans nor gmm", "in.h5 -o x.html --clusters 2 --method tree");
    map(64, "--colour-by mood: not one of genre", "in.h5 -o x.html --colour-by mood");
    map(64, "--perplexity 0.5", "in.h5 -o x.html --perplexity 0.5");
    map(78, "no track has a known genre; embed --fma-metadata", "in.h5 -o x.html -c genre");
    map(78, "no track has a cluster; give --clusters", "in.h5 -o x.html -c cluster");
    map(66, "nowhere.h5", "nowhere.h5 -o x.html");
    map(66, "nowhere.h5", "nowhere.h5 --clusters 2 --write-clusters");
    map(65, "garbage.h5: not an HDF5 file", "garbage.h5 -o x.html");
    map(65, "none.h5: holds no vector (3 rows without one)", "none.h5 -o x.html");
    map(65, "empty.h5: holds no vector", "empty.h5 -o x.html");
    map(73, "notes.html: exists; --force replaces it", "in.h5 -o notes.html");
    map(73, "there is no folder", "in.h5 -o no/x.html");
    cr_assert_eq(
        run_command("(trap '' XFSZ; ulimit -f 2; %s map in.h5 -f -o notes.html 2>err)", attune),
        74);
    cr_assert_eq(
        run_command("grep -q 'notes.html: cannot write' err && grep -qx mine notes.html && "
                    "! ls -A | grep -E 'tmp|parts|^x'"),
        0);
    cr_assert_eq(run_command("%s map --help >help && grep -q '^Usage: attune map' help", attune),
                 0);
}
