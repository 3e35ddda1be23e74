/* Settings from options and files: what wins, what is refused and where, and that what is printed
 * reads back as it was. */
#include "train/settings.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static attune_status read_text(attune_settings *settings, char **texts, const char *text)
{
    char *path = temporary_path("config.toml");
    write_file(path, text, strlen(text));
    attune_status status = attune_settings_read(settings, texts, path);
    free(path);
    return status;
}

Test(settings, the_table_is_sound)
{
    for (int i = 0; i < attune_settings_count; i++) {
        const attune_setting *s = &attune_settings_table[i];
        cr_assert(s->help && strlen(s->help) > 2);
        for (int k = 0; k < i && s->name; k++) {
            cr_assert(!attune_settings_table[k].name ||
                          strcmp(attune_settings_table[k].name, s->name),
                      "%s stands twice", s->name);
        }
    }
    for (int stage = 0; stage < ATTUNE_STAGE_COUNT; stage++) { /* defaults are values */
        attune_settings settings = {0};
        attune_settings_complete(&settings, (attune_stage)stage);
        attune_network network;
        attune_settings_network(&network, &settings);
        cr_assert_eq(network.frame_size, 2048);
        cr_assert_eq(network.hop_size, 2048);
        cr_assert_eq(network.hidden, 128);
        cr_assert_eq(network.embedding, 32);
    }
}

Test(settings, stages_have_the_papers_defaults)
{
    attune_settings first = {0}, second = {0};
    attune_settings_complete(&first, ATTUNE_STAGE_SYNTHETIC);
    attune_settings_complete(&second, ATTUNE_STAGE_HUMAN);
    cr_assert_eq(first.batch, 12);
    cr_assert_eq(second.batch, 4);
    cr_assert_float_eq(first.rate, 1e-3, 1e-12);
    cr_assert_float_eq(second.rate, 1e-4, 1e-12);
    cr_assert_eq(first.seconds, 15);
    cr_assert_eq(second.seconds, 29);
    cr_assert_eq(first.epochs, 50);
    cr_assert_eq(second.epochs, 20);
    cr_assert_eq(first.norm_together, 0);
    cr_assert_eq(first.loss, ATTUNE_LOSS_TRIPLET);
}

Test(settings, options_win_over_sections_and_those_over_the_rest)
{
    attune_settings settings[ATTUNE_STAGE_COUNT] = {{0}};
    char *texts = NULL;
    cr_assert_eq(attune_settings_set(&settings[0], "epochs", "7"), ATTUNE_OK);
    assert_ok(read_text(settings, &texts,
                        "# a comment\nbatch = 5 # five\nepochs = 9\nrate = 1e-2\r\n"
                        "audio = \"a \\\"b\\\" \\\\c\"\n"
                        "triplets = [ 'one',\n  \"two\", # of them\n]\nhalf-hop = true\n"
                        "loss = \"hard\"\n[human]\nbatch = 6\n[synthetic]\n  batch=8\n"));
    cr_assert_eq(settings[ATTUNE_STAGE_SYNTHETIC].batch, 8);
    cr_assert_eq(settings[ATTUNE_STAGE_HUMAN].batch, 6);
    cr_assert_eq(settings[ATTUNE_STAGE_UNLABELLED].batch, 5);
    cr_assert_eq(settings[0].epochs, 7);
    cr_assert_eq(settings[1].epochs, 9);
    cr_assert_str_eq(settings[2].audio, "a \"b\" \\c");
    cr_assert_eq(settings[1].triplets.count, 2);
    cr_assert_str_eq(settings[1].triplets.items[1], "two");
    cr_assert(settings[0].half_hop);
    cr_assert_eq(settings[0].loss, ATTUNE_LOSS_HARD);
    free(texts);
}

Test(settings, texts_read_back)
{
    for (int stage = 0; stage < ATTUNE_STAGE_COUNT; stage++) {
        attune_settings settings = {0}, again = {0};
        attune_settings_complete(&settings, (attune_stage)stage);
        for (int i = 0; i < attune_settings_count; i++) {
            const attune_setting *s = &attune_settings_table[i];
            char text[600], repeated[600];
            if (!s->name || s->kind == ATTUNE_SETTING_TEXT || s->kind == ATTUNE_SETTING_LIST) {
                continue;
            }
            attune_settings_text(text, sizeof(text), &settings, i);
            cr_assert_eq(attune_settings_set(&again, s->name, text), ATTUNE_OK, "%s = %s", s->name,
                         text);
            attune_settings_text(repeated, sizeof(repeated), &again, i);
            cr_assert_str_eq(text, repeated);
            cr_assert(attune_settings_given(&again, s->name));
        }
    }
}

struct bad {
    char text[80], want[60];
};

ParameterizedTestParameters(settings, a_bad_file_is_refused_with_its_line)
{
    static struct bad files[] = {
        {"batch = 0\n", ":1: batch: '0' is not"},
        {"\n\nbatch = 1.5\n", ":3: batch: '1.5' is not a whole"},
        {"batch = five\n", "five"},
        {"batch\n", ":1: a line is name = value"},
        {"= 3\n", ":1: a line is"},
        {"batch = \n", ":1: there is no value"},
        {"bach = 3\n", ":1: bach: there is no such setting"},
        {"[other]\n", ":1: a section is"},
        {"audio = \"no end\n", ":1: a string without its end"},
        {"audio = \"\\n\"\n", ":1: a string without its end"},
        {"triplets = [\"a\" \"b\"]\n", ":1: an array has commas"},
        {"triplets = [\"a\",\n\"b\"", ":2: an array has commas"},
        {"batch = 3 4\n", ":1: there is more"},
        {"audio = music\n", ":1: a text stands in quotes"},
        {"freeze = maybe\n", ":1: freeze: 'maybe' is neither"},
        {"loss = \"l2\"\n", ":1: loss: 'l2' is none of triplet|"},
        {"rate = nan\n", ":1: rate: 'nan' is not"},
        {"rate = 1e999\n", ":1: rate: '1e999' is not"},
        {"batch = [3]\n", ":1: batch: has one value, and no array"},
        {"batch = 3\n\nbatch = 4\n", ":3: batch: stands there twice"},
        {"[human]\nbatch = 3\nbatch = 3\n", ":3: batch: stands there twice"},
        {"triplets = \"a\"\ntriplets = \"b\"\n", ":2: triplets: stands there twice"},
        {"audio = \"\"\n", ":1: audio: there is no value"},
    };
    return cr_make_param_array(struct bad, files, sizeof(files) / sizeof(files[0]));
}

ParameterizedTest(struct bad *bad, settings, a_bad_file_is_refused_with_its_line)
{
    attune_settings settings[ATTUNE_STAGE_COUNT] = {{0}};
    char *texts = NULL;
    cr_assert_eq(read_text(settings, &texts, bad->text), ATTUNE_EDATA, "%s", bad->text);
    cr_assert(strstr(attune_last_error(), bad->want), "'%s' is not in '%s'", bad->want,
              attune_last_error());
    cr_assert(strstr(attune_last_error(), "config.toml"));
    free(texts);
}

/* A name may stand in every section; some editors begin a file with a byte order mark. */
Test(settings, a_file_of_an_editor)
{
    attune_settings settings[ATTUNE_STAGE_COUNT] = {{0}};
    char *texts = NULL;
    assert_ok(read_text(settings, &texts,
                        "\xef\xbb\xbf"
                        "batch = 3\r\n[human]\r\nbatch = 4\r\n"));
    cr_assert_eq(settings[ATTUNE_STAGE_SYNTHETIC].batch, 3);
    cr_assert_eq(settings[ATTUNE_STAGE_HUMAN].batch, 4);
    free(texts);
}

Test(settings, what_is_no_text_file_is_refused)
{
    attune_settings settings[ATTUNE_STAGE_COUNT] = {{0}};
    char *texts = NULL, *path = temporary_path("binary");
    cr_assert_eq(attune_settings_read(settings, &texts, "/nowhere/config.toml"), ATTUNE_ENOINPUT);
    cr_assert_eq(attune_settings_read(settings, &texts, temporary_folder()), ATTUNE_EIO);
    write_file(path, "batch = 3\n\0\0", 12);
    cr_assert_eq(attune_settings_read(settings, &texts, path), ATTUNE_EDATA);
    cr_assert_null(texts);
    free(path);
}
