/* test_spaces.c - attune eval --space: an output's descriptors are evaluated as any vectors are,
 * and beside its embedding. What else the commands say of descriptors, too. */
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 60, E = 8 };

/* out.h5 with an embedding and descriptors in each row but the last, which is without descriptors;
 * desc.csv and emb.csv with the same; labels.csv. */
static void make_files(bool descriptors)
{
    attune_store_attributes attributes = test_attributes(E);
    attune_rows *rows = NULL;
    uint64_t state = 3;
    cr_assert_eq(chdir(temporary_folder()), 0);
    FILE *csv[2] = {fopen("emb.csv", "w"), fopen("desc.csv", "w")},
         *labels = fopen("labels.csv", "w");
    cr_assert(csv[0] && csv[1] && labels);
    fprintf(labels, "path,genre,artist\n");
    attributes.descriptors = descriptors;
    cr_assert_eq(attune_rows_create(&rows, E), ATTUNE_OK);
    for (int i = 0; i < ROWS; i++) {
        float embedding[E], own[ATTUNE_DESCRIPTORS];
        char name[32];
        random_fill(&state, embedding, E, 1);
        random_fill(&state, own, ATTUNE_DESCRIPTORS, 1);
        embedding[i % 3] += 1;
        snprintf(name, sizeof(name), "%03d.mp3", i);
        const attune_row row = {
            .path = name, .embedding = embedding, .descriptors = i + 1 < ROWS ? own : NULL};
        cr_assert_eq(attune_rows_append(rows, &row), ATTUNE_OK);
        fprintf(labels, "%s,%s,a%d\n", name, i % 3 ? "Rock" : "Folk", i % 10);
        for (int k = 0; k < 2; k++) {
            fprintf(csv[k], "%s", i + 1 < ROWS ? name : "");
            for (int c = 0; i + 1 < ROWS && c < (k ? ATTUNE_DESCRIPTORS : E); c++) {
                fprintf(csv[k], ",%.9g", (double)(k ? own : embedding)[c]);
            }
            fprintf(csv[k], i + 1 < ROWS ? "\n" : "");
        }
    }
    fclose(csv[0]);
    fclose(csv[1]);
    fclose(labels);
    write_rows("out.h5", &attributes, rows);
    attune_rows_free(rows);
}

static void shell(const char *command)
{
    cr_assert_eq(run_command("%s", command), 0, "%s", command);
}

/* Figures (rows of the CSV) of the first file, without its name. */
static void evaluate(const char *arguments, const char *name, const char *out)
{
    cr_assert_eq(
        run_command("\"$ATTUNE_COMMAND\" eval %s --labels labels.csv --csv >all.csv", arguments),
        0);
    cr_assert_eq(run_command("grep -F ',\"%s\",' all.csv | sed 's/,\"%s\",/,/' >%s && test -s %s",
                             name, name, out, out),
                 0);
}

Test(spaces, descriptors_are_evaluated_as_vectors_of_a_file_are, .timeout = 60)
{
    make_files(true);
    evaluate("out.h5 --space descriptors", "out.h5 descriptors", "h5");
    evaluate("desc.csv", "desc.csv", "csv");
    shell("cmp h5 csv");
    evaluate("out.h5 --space embedding --space descriptors", "out.h5",
             "h5"); /* of rows with both */
    evaluate("emb.csv", "emb.csv", "csv");
    shell("cmp h5 csv");
    evaluate("out.h5 --space embedding --space descriptors", "out.h5 descriptors", "h5");
    evaluate("desc.csv", "desc.csv", "csv");
    shell("cmp h5 csv");
    shell(
        "\"$ATTUNE_COMMAND\" eval out.h5 --space descriptors --space embedding --labels labels.csv "
        ">table && grep -q 'out.h5 descriptors *out.h5 *random' table");
}

Test(spaces, mistakes_are_said, .timeout = 60)
{
    make_files(true);
    shell("\"$ATTUNE_COMMAND\" eval out.h5 --space notes 2>err; test $? = 64 && grep -q 'neither "
          "embedding nor descriptors' err");
    shell("\"$ATTUNE_COMMAND\" eval out.h5 --space embedding --space embedding 2>err; test $? = 64 "
          "&& grep -q twice err");
    shell("\"$ATTUNE_COMMAND\" eval out.h5 emb.csv --space descriptors 2>err; test $? = 65 && "
          "grep -q 'emb.csv: has no descriptors' err");
    make_files(false);
    shell("\"$ATTUNE_COMMAND\" eval out.h5 --space descriptors 2>err; test $? = 65 && "
          "grep -q '^attune: out.h5: has no descriptors; attune embed --descriptors makes them$' "
          "err");
}

Test(spaces, other_commands_know_descriptors, .timeout = 60)
{
    make_files(false);
    shell("mv out.h5 without.h5 && \"$ATTUNE_COMMAND\" info without.h5 >text && "
          "! grep -q descriptors text && \"$ATTUNE_COMMAND\" info without.h5 --json | "
          "grep -q '\"descriptors\": false'");
    make_files(true);
    shell("\"$ATTUNE_COMMAND\" info out.h5 | grep -q '^descriptors *23 columns$'");
    shell("\"$ATTUNE_COMMAND\" export out.h5 -o out.csv --all 2>err && head -1 out.csv | "
          "grep -q ',embedding_7,tempo,zero_crossings,.*,triads,triads_of_intervals$'");
    shell("sed 1d out.csv | head -59 | cut -d, -f1,16- | cmp - desc.csv");
    shell("tail -1 out.csv | cut -d, -f16,38 | grep -q '^nan,nan$'");
    shell("\"$ATTUNE_COMMAND\" merge out.h5 without.h5 -o all.h5 2>err; test $? = 65 && "
          "grep -q 'without.h5 has no descriptors, and out.h5 has them' err && test ! -e all.h5");
    shell("\"$ATTUNE_COMMAND\" merge out.h5 -o all.h5 -q && \"$ATTUNE_COMMAND\" export all.h5 -o "
          "all.csv --all 2>err && cmp all.csv out.csv");
}
