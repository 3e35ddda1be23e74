/* attune eval against numpy and scikit-learn (tools/make_eval_goldens.py), and what it is given
 * that is not as it should be. */
#include "csv/csv.h"

#include "eval/report.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double BOUND = 1e-6;

/* A number of a CSV field; NaN for an empty one. */
static double number(const char *text)
{
    return *text ? strtod(text, NULL) : (double)NAN;
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : fabs(a - b) <= BOUND;
}

/* The row of a CSV file that begins with three fields; asserts that it is there. */
static void find_row(double values[3], const char *path, const char *const *wanted)
{
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    bool found = false;
    do {
        cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
        found = row.count == 6 && strcmp(row.fields[0], wanted[0]) == 0 &&
                strcmp(row.fields[1], wanted[1]) == 0 && strcmp(row.fields[2], wanted[2]) == 0;
        for (int i = 0; found && i < 3; i++) {
            values[i] = number(row.fields[3 + i]);
        }
    } while (!found && row.count > 0);
    cr_assert(found, "there is no %s, %s of %s", wanted[0], wanted[1], wanted[2]);
    attune_csv_close(csv);
}

/* Runs attune eval over the goldens; the file that its output went to. */
static char *evaluate(const char *format)
{
    char *path = temporary_path("out");
    cr_assert_eq(run_command("cd '%s' && \"$ATTUNE_COMMAND\" eval one.csv two.npy --labels "
                             "labels.csv --triplets plain.csv --triplets human.csv -j 2 %s >'%s'",
                             GOLDENS, format, path),
                 0);
    return path;
}

Test(evaluate, figures_are_those_of_numpy_and_scikit_learn)
{
    char *path = evaluate("--csv");
    attune_csv *csv = NULL;
    attune_csv_row row;
    int compared = 0;
    cr_assert_eq(attune_csv_open(&csv, GOLDENS "/expected.csv"), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    for (;;) {
        double got[3] = {0};
        cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
        if (row.count == 0) {
            break;
        }
        if (strcmp(row.fields[0], "comparison") == 0) {
            continue;
        }
        find_row(got, path, row.fields);
        for (size_t i = 3; i < row.count; i++) {
            const double wanted = number(row.fields[i]);
            cr_assert(same(got[i - 3], wanted), "%s, %s of %s: %.9g, not %.9g", row.fields[0],
                      row.fields[1], row.fields[2], got[i - 3], wanted);
            compared++;
        }
    }
    attune_csv_close(csv);
    cr_assert_gt(compared, 150);
    free(path);
}

Test(evaluate, comparisons_are_those_of_numpy_and_scipy)
{
    static const char *const keys[] = {"difference", "low",         "high",
                                       "only_first", "only_second", "p"};
    char *path = evaluate("--json");
    json_t *all = json_load_file(path, 0, NULL), *item = NULL;
    attune_csv *csv = NULL;
    attune_csv_row row;
    size_t index = 0;
    int compared = 0;
    cr_assert_not_null(all);
    cr_assert_eq(attune_csv_open(&csv, GOLDENS "/expected.csv"), ATTUNE_OK);
    do {
        cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
        json_array_foreach(json_object_get(all, "comparisons"), index, item)
        {
            char name[256];
            snprintf(name, sizeof(name), "%s: %s",
                     json_string_value(json_object_get(item, "section")),
                     json_string_value(json_object_get(item, "figure")));
            if (row.count != 9 || strcmp(name, row.fields[1]) != 0) {
                continue;
            }
            for (size_t i = 0; i < 6; i++) {
                const double got = json_number_value(json_object_get(item, keys[i])),
                             wanted = number(row.fields[3 + i]);
                cr_assert(same(got, wanted), "%s: %s %.9g, not %.9g", name, keys[i], got, wanted);
                compared++;
            }
        }
    } while (row.count > 0);
    attune_csv_close(csv);
    cr_assert_eq(compared, 18);
    json_decref(all);
    free(path);
}

/* McNemar's test asks what is right: a tie is not, beside what is wrong and beside what is right.
 */
Test(evaluate, a_tie_is_not_right)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("printf 'x,0\nv,1\nw,5\ny,1\nz,1\n' >a.csv && "
                             "printf 'x,0\nv,0.5\nw,1.5\ny,2\nz,1\n' >b.csv && "
                             "printf 'x,y,z\nx,v,z\ny,z,w\n' >t.csv"),
                 0);
    for (int turned = 0; turned < 2; turned++) {
        cr_assert_eq(run_command("\"$ATTUNE_COMMAND\" eval %s --triplets t.csv --json >out",
                                 turned ? "b.csv a.csv" : "a.csv b.csv"),
                     0);
        json_t *all = json_load_file("out", 0, NULL),
               *c = json_array_get(json_object_get(all, "comparisons"), 0);
        cr_assert_eq(json_number_value(json_object_get(c, "only_first")), 1);
        cr_assert_eq(json_number_value(json_object_get(c, "only_second")), 1);
        json_decref(all);
    }
}

/* ---- input of any kind ---- */

struct input {
    char text[96], arguments[80], wanted[128];
    int code;
};

ParameterizedTestParameters(evaluate, odd_input_is_said)
{
    static struct input inputs[] = {
        {"", "", "the file is empty", 65},
        {"a,nan,1\nb,nan,nan\n", "", "holds no vector (2 rows without one)", 65},
        {"a,1,2\nb,3\n", "", "line 2: has 2 fields", 65},
        {"a,1,2\nb,3,x\n", "", "line 2: the component \"x\" is no number", 65},
        {"z,nan,0\na,1,2\ny,,\na,3,4\n", "",
         "in.csv: a: stands in the embeddings twice, as row 2 and row 4;", 65},
        {"x/7.mp3,1,2\nb,3,4\n", "two.csv", "two.csv: rows 2 and 4 are one track, x/7.mp3", 65},
        {"a,1,2\nb,3,4\n", "--split some", "not one of all, train", 64},
        {"a,1,2\nb,3,4\n", "--split test", "--split is of triplets", 64},
        {"a,1,2\nb,3,4\n", "--margin 0.3", "--margin is of triplets", 64},
        {"a,1,2\nb,3,4\n", "--plots no/such", "no/such: the folder that it is to be in", 73},
        {"a,1,2\nb,3,4\n", "--labels one.csv --fma-metadata .", "only one of them", 64},
        {"a,1,2\nb,3,4\n", "--plots ''", "--plots needs a value", 64},
        {"a,1,2\nb,3,4\n", "--plots in.csv", "in.csv: is a file and not a folder", 73},
        {"a,1,2\nb,3,4\n", "--ids x", "there is no .npy file for it", 64},
        {"a,1,2\nb,3,4\n", "--labels none.csv", "none.csv: No such file", 66},
        {"a,1,2\nb,3,4\n", "--labels ''", "attune: \"\": No such file", 66},
        {"a,1,2\nb,3,4\n", "''", "attune: \"\": cannot open: No such file", 66},
        {"a,1,2\nb,3,4\n", "", "no labels: --labels FILE", 0},
        {"a,1,2\nb,nan,4\nc,1,1\n", "", "1 rows have no vector and are left out", 0},
        {"a,1,2\nb,3,4\n", "", "hubs want more than 10 rows; there are 2", 0},
        {"a,1,2\nb,1,2\nc,1,2\n", "--labels one.csv", "genres: 3 tracks of 1", 0},
        {"a,1,2\nb,3,4\nc,5,6\n", "--labels three.csv", "artist: no two tracks share one", 0},
        {"a,1,2\nb,3,4\nc,5,6\n", "--labels three.csv", "5 nearest: there are only 2 to vote", 0},
        {"a,1,0\nb,-0.00001,1\n", "", "median cosine                 0.0000 ", 0},
        {"a,1,2\nb,3,4\nc,5,6\n", "--labels odd.csv",
         "2 tracks are of no split: \"later\" is not training, validation or test", 0},
        {"id,0,1\na,1,2\nb,3,4\n", "", "rows                          2 ", 0},
        {"track_id, 1, 2\na,1,2\nb,3,4\n", "", "rows                          2 ", 0},
        {",0,1\na,1,2\nb,3,4\n", "", "rows                          2 ", 0},
        {"f,0,1,2,3,4,5,6,7\na,1,2,3,4,5,6,7,9\nb,3,4,5,6,7,8,9,0\n", "",
         "rows                          2 ", 0},
        {"a,1,2\nb,3,4\n", "", "rows                          2 ", 0},
        {"a,0,1,2\nb,3,4,5\n", "", "rows                          2 ", 0},
        {"a,,\nb,3,4\nc,5,6\n", "", "1 rows have no vector and are left out", 0},
        {"a,1,\nb,3,4\n", "", "line 1: of the components only the last, \"\", is no number", 65},
        {"a,1, x\nb,3,4\n", "", "line 1: of the components only the last, \"x\", is no number", 65},
        {"e0,e1,track_id\n1,2,a\n3,4,b\n5,6,c\n", "--labels three.csv", "artist: no two tracks", 0},
        {"0,1, id\n1,2,a\n3,4,b\n5,6,c\n", "--labels three.csv", "artist: no two tracks", 0},
        {"x,y,path\n1,2,a\n3,4,b\n5,6,c\n", "--labels three.csv", "artist: no two tracks", 0},
        {"e0,e1,name\n1,2,a\n", "", "line 1: the first column, e0, is a component; call that", 65},
        {" e0,e1,name\n1,2,a\n", "", "line 1: the first column, e0, is a component; call that", 65},
        {"id,e0,e1\n ,1,2\n", "", "line 2: has no id", 65},
        {"0,1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8,9\n", "", "line 1: the first column, 0, is a", 65},
        {"path, e0, e1\n f/a , 1, 2\n f/b, 3, 4\n", "--labels paths.csv",
         "anchors                       2 ", 0},
        {"path, e0, e1\n f/a , 1, 2\n f/b, 3, 4\n", "paths.csv", "rows                          2 ",
         0},
        {"path, e0, e1\n f/a, 1, 2\nf/a , 3, 4\n", "paths.csv", "have no track in common", 65},
        {" id, e0, e1\na, 1, 2\nb, 3 ,\t4\nc, , 1\n", "", "components                    2", 0},
        {"a,1,2\nb, 3, 4\nc, , 5\n", "", "1 rows have no vector and are left out", 0},
        {"a,1,2\nb,3,4\n", "--labels none.txt", "line 1: the file ends here without a track", 65},
        {"a,1,2\nb,3,4\n", "--triplets cut.csv", "line 3: has 3 fields, and not 4", 65},
        {"a,1,2\nb,3,4\n", "x.npy", "x.npy: is a folder", 66},
        {"z,1,2\n", "--labels three.csv", "3 tracks of three.csv are not among the rows", 0},
        {"a,1,2\nb,3,4\nc,5,6\n", "--triplets abc.csv --triplets abz.csv",
         "1 of all triplets are left out", 0},
        {"a,1,2\nb,3,4\nc,5,6\n", "--triplets abz.csv",
         "attune: abz.csv: no triplet can be evaluated; 1 is left out, as a track of theirs has "
         "no vector\n",
         65},
        {"a,1,2\nb,3,4\nc,5,6\n", "--triplets abz.csv --triplets abz.csv --labels three.csv",
         "abz.csv and the others: no triplet can be evaluated; 2 are left out", 65},
        {"a,1,2\nb,3,4\nc,5,6\n", "--triplets abz.csv --labels three.csv", "genre, each track", 65},
        {"a,1,2\nb,3,4\nc,5,6\n", "--triplets human.csv --split test",
         "human.csv: no triplet of the part test can be evaluated\n", 65},
    };
    return cr_make_param_array(struct input, inputs, sizeof(inputs) / sizeof(inputs[0]));
}

ParameterizedTest(struct input *input, evaluate, odd_input_is_said)
{
    static const struct {
        const char *name, *text;
    } files[] = {{"one.csv", "id,genre\na,Rock\nb,Rock\nc,Rock\n"},
                 {"three.csv", "id,artist,genre\na,1,x\nb,2,y\nc,3,y\n"},
                 {"odd.csv", "id,genre,split\na,x,train\nb,x,later\nc,y,later\n"},
                 {"abc.csv", "a,b,c\n"},
                 {"none.txt", "id,artist\n"},
                 {"cut.csv", "anchor,positive,negative,why\na,b,c,d\na,c,b\n"},
                 {"abz.csv", "a,b,z\n"},
                 {"paths.csv", "path,artist,e0,e1\nf/a,1,1,2\n f/b,1,3,4\n"},
                 {"two.csv", "z,0,nan\n7,1,2\nb,,\nx/7.mp3,1,2\n"},
                 {"human.csv", "song1,song2,song3,anchor,positive\na,b,c,1,2\n"}};
    char *path = temporary_path("in.csv"), *out = temporary_path("out");
    write_file(path, input->text, strlen(input->text));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *file = temporary_path(files[i].name);
        write_file(file, files[i].text, strlen(files[i].text));
        free(file);
    }
    const int code = run_command("cd '%s' && mkdir -p x.npy && \"$ATTUNE_COMMAND\" eval in.csv %s "
                                 ">out 2>&1",
                                 temporary_folder(), input->arguments);
    size_t size = 0;
    char *text = read_file(out, &size);
    cr_assert_eq(code, input->code, "%s: exit %d, not %d: %s", input->text, code, input->code,
                 text);
    cr_assert(strstr(text, input->wanted), "\"%s\" is not in:\n%s", input->wanted, text);
    cr_assert(!strstr(text, "nan"), "a nan in:\n%s", text);
    free(text);
    free(out);
    free(path);
}

/* Neither -0 nor what rounds to it has a sign; what does not, has. */
Test(evaluate, zeros_have_no_sign)
{
    static const double values[] = {-0.0, -0.00004, -0.00006};
    static const char *const titles[] = {"a", "b", "c"};
    attune_report r = {.titles = titles, .spaces = 3};
    char *text = NULL;
    size_t size = 0;
    for (uint32_t s = 0; s < 3; s++) {
        const attune_interval interval = {values[s], values[s]};
        cr_assert_eq(attune_report_put(&r, s, "s", "f", values[s], ATTUNE_NO_INTERVAL), ATTUNE_OK);
        cr_assert_eq(attune_report_put(&r, s, "s", "i", values[s], interval), ATTUNE_OK);
    }
    FILE *out = open_memstream(&text, &size);
    attune_report_text(&r, out);
    attune_report_csv(&r, out);
    json_t *json = attune_report_json(&r);
    json_dumpf(json, out, 0);
    cr_assert_eq(fclose(out), 0);
    cr_assert(strstr(text, " 0.0000                0.0000                -0.0001\n"), "%s", text);
    cr_assert(strstr(text, " 0.0000 [0.000, 0.000] 0.0000 [0.000, 0.000] -0.0001 [0.000, 0.000]"),
              "%s", text);
    cr_assert(!strstr(text, "-0,") && !strstr(text, "-0.0,") && !strstr(text, "-0.0000"), "%s",
              text);
    json_decref(json);
    free(text);
    attune_report_free(&r);
}

/* Arrays of numpy and the names of their rows: what is wrong with either, and where. */
Test(evaluate, odd_arrays_and_ids_are_said)
{
    static const struct {
        const char *shape, *ids, *wanted;
        size_t numbers;
        int code;
    } cases[] = {
        {"(3, 2)", "a\nb\nc\n", "components                    2", 6, 0},
        {"(3, 2)",
         "\xef\xbb\xbf"
         "a\r\nb\r\nc",
         "components                    2", 6, 0},
        {"(3, 2)", "a\nb\nc\n", "ends before its last row", 5, 65},
        {"(3, 2)", "a\nb\nc\n", "a.npy: has bytes behind its last row", 7, 65},
        {"(3, 2, 1)", "a\nb\nc\n", "is no table of rows and components", 6, 65},
        {"(3,)", "a\nb\nc\n", "is no table of rows and components", 3, 65},
        /* astype would keep Fortran's order, which is refused, too */
        {"(3, 2)", "a\nb\nc\n",
         "is in Fortran order; numpy.save(\"a.npy\", numpy.ascontiguousarray(vectors, "
         "\"float32\"))",
         6, 65},
        {"(3, 2)", "a\nb\n", "a.txt, line 3: has no id or path", 6, 65},
        {"(3, 2)", "a\nb\nc\nd\n", "a.txt: has more lines than a.npy has rows, 3", 6, 65},
        {"(3, 2)", "a\nb\n#\n", "a.txt, line 3: is longer than 65,535 bytes", 6, 65},
        {"(3, 2)", "a\n@\nc\n", "a.txt, line 2: holds a NUL byte", 6, 65},
    };
    cr_assert_eq(chdir(temporary_folder()), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FILE *file = fopen("a.npy", "wb"), *ids = fopen("a.txt", "wb");
        cr_assert(file && ids);
        fprintf(file, "\x93NUMPY\x01%c%c%c{'descr': '<f4', 'fortran_order': %-5s, 'shape': %-12s}",
                0, 63, 0, strstr(cases[i].wanted, "Fortran") ? "True" : "False", cases[i].shape);
        for (size_t k = 0; k < cases[i].numbers; k++) {
            const float number = (float)(k * k);
            fwrite(&number, sizeof(number), 1, file);
        }
        for (const char *c = cases[i].ids; *c; c++) {
            if (*c == '#') {
                fprintf(ids, "%070000d", 0);
            } else {
                fputc(*c == '@' ? 0 : *c, ids);
            }
        }
        cr_assert_eq(fclose(file) + fclose(ids), 0);
        const int code = run_command("\"$ATTUNE_COMMAND\" eval a.npy >out 2>&1");
        char *text = read_file("out", NULL);
        cr_assert_eq(code, cases[i].code, "case %zu: exit %d: %s", i, code, text);
        cr_assert(strstr(text, cases[i].wanted), "case %zu: %s", i, text);
        free(text);
    }
    cr_assert_eq(run_command("\"$ATTUNE_COMMAND\" eval a.npy --ids '' 2>&1 | "
                             "grep -q '^attune: \"\": No such file'"),
                 0);
}

/* Files of one name in two folders are told apart, and what cannot be drawn does not keep the
 * figures back. */
Test(evaluate, same_names_and_no_gnuplot)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir a b && printf 'x,0,0\ny,0,1\nz,3,3\n' >a/v.csv && "
                             "printf 'x,0,0\ny,9,9\nz,0,1\n' >b/v.csv && echo x,y,z >a/t.csv && "
                             "echo x,z,y >b/t.csv"),
                 0);
    cr_assert_eq(run_command("\"$ATTUNE_COMMAND\" eval a/v.csv b/v.csv --triplets a/t.csv "
                             "--triplets b/t.csv --csv | grep 'right, ties' | tr -d '\"' | "
                             "grep -v random | cut -d, -f1,4,5 >out"),
                 0);
    char *text = read_file("out", NULL);
    cr_assert_str_eq(text, "triplets of a/t.csv,a/v.csv,1\ntriplets of a/t.csv,b/v.csv,0\n"
                           "triplets of b/t.csv,a/v.csv,0\ntriplets of b/t.csv,b/v.csv,1\n");
    free(text);
    cr_assert_eq(run_command("PATH=/nowhere \"$ATTUNE_COMMAND\" eval a/v.csv --triplets a/t.csv "
                             "--plots p >out 2>err"),
                 78);
    cr_assert_eq(run_command("grep -q 'right, ties half' out && grep -q 'gnuplot-nox' err && "
                             "[ ! -e p ]"),
                 0);
    cr_assert_eq(run_command("mkdir there && for p in p there; do \"$ATTUNE_COMMAND\" eval a/v.csv "
                             "--plots $p >out 2>err && grep -q \"^attune: $p: there is nothing to "
                             "draw\" err || exit 9; done; [ ! -e p ] && [ -d there ]"),
                 0);
}

/* gnuplot ends with 0 on a full disk, and leaves pictures that are cut short: the older ones stay.
 */
Test(evaluate, pictures_that_are_cut_short_replace_none)
{
    static const char gnuplot[] =
        "#!/bin/sh\n"
        "sed -n \"s/^set output '\\(.*\\)'/\\1/p\" | while read -r f; do echo cut >\"$f\"; done\n";
    cr_assert_eq(chdir(temporary_folder()), 0);
    write_file("gnuplot", gnuplot, strlen(gnuplot));
    cr_assert_eq(run_command("chmod +x gnuplot && printf 'x,0,0\ny,0,1\nz,3,3\n' >v.csv && "
                             "echo x,y,z >t.csv && mkdir p && echo old >p/distances-1-1.png"),
                 0);
    cr_assert_eq(run_command("PATH=$PWD:$PATH \"$ATTUNE_COMMAND\" eval v.csv --triplets t.csv "
                             "--plots p >out 2>err"),
                 74);
    cr_assert_eq(run_command("grep -q 'distances-1-1.png is cut short; is the disk full?' err && "
                             "[ \"$(ls -A p)\" = distances-1-1.png ] && "
                             "grep -qx old p/distances-1-1.png && grep -q 'right, ties half' out"),
                 0);
}

/* Names and genres of any bytes. */
Test(evaluate, pictures_are_xml)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    if (run_command("command -v gnuplot >gnuplot") != 0) {
        skip_test("gnuplot is not installed");
    }
    cr_assert_eq(run_command("seq 12 | sed 's/.*/a&,&,&/' >\xff\xfe.csv && echo a1,a2,a9 >t.csv && "
                             "(echo id,genre; seq 6 | sed 's/.*/a&,caf\xe9/'; "
                             "seq 7 12 | sed 's/.*/a&,x\\&#x1;]]>/') >l.csv"),
                 0);
    cr_assert_eq(run_command("\"$ATTUNE_COMMAND\" eval \xff\xfe.csv --labels l.csv "
                             "--triplets t.csv --plots p >out 2>err"),
                 0);
    cr_assert_eq(run_command("/usr/bin/python3 -c 'import sys, xml.dom.minidom as d; "
                             "[d.parse(f) for f in sys.argv[1:]]' p/distances-1-1.svg "
                             "p/confusion-1.svg"),
                 0);
}

/* What the published synthetic split leaks: with embeddings of all its tracks. */
Test(evaluate, the_published_split_leaks_what_is_known)
{
    char *triplets = shared_path("fma/synthetic_triplets_just_genres.csv");
    char *path = temporary_path("all.csv");
    cr_assert_eq(run_command("tail -n +3 '%s' | cut -d, -f1-3 | tr , '\\n' | sort -u | "
                             "awk '{ print $1 \",\" sin($1) \",\" cos($1) }' >'%s'",
                             triplets, path),
                 0);
    cr_assert_eq(run_command("\"$ATTUNE_COMMAND\" eval '%s' --triplets '%s' --split test --json "
                             "| grep -q '3227 of its 3670 tracks occur in training triplets; 4 of "
                             "1608 triplets have no such track'",
                             path, triplets),
                 0);
    free(path);
    free(triplets);
}
