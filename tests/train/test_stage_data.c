/* test_stage_data.c - of a manifest those tracks stay that triplets name, and triplets follow. */
#include "tests/support/support.h"
#include "tests/train/audio_tree.h"
#include "train/stage_data.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *id_of(const attune_stage_data *data, uint32_t track)
{
    cr_assert_lt(track, attune_tracks_count(data->tracks));
    return attune_tracks_entries(data->tracks)[track].id;
}

Test(stage_data, keeps_the_tracks_of_a_manifest_that_triplets_name)
{
    static const char *const expected[3][3] = {{"e", "a", "c"}, {"c", "g", "a"}, {"a", "e", "g"}};
    char *folder = make_tree("music", "a.mp3 b.mp3 c.mp3 d.mp3 e.mp3 f.mp3 g.mp3"),
         *manifest = make_text("m.csv", "id,group\ng,1\nf,1\ne,2\nd,2\nc,3\nb,3\na,3\n"),
         *triplets = make_text("t.csv", "anchor,positive,negative\ne,a,c\nc,g,a\na,e,g\n");
    attune_settings settings = {0};
    attune_stage_data data;
    const attune_train_events events = {0};
    cr_assert_eq(attune_settings_set(&settings, "audio", folder), ATTUNE_OK);
    cr_assert_eq(attune_settings_set(&settings, "manifest", manifest), ATTUNE_OK);
    cr_assert_eq(attune_settings_set(&settings, "triplets", triplets), ATTUNE_OK);
    attune_settings_complete(&settings, ATTUNE_STAGE_SYNTHETIC);
    assert_ok(attune_stage_data_open(&data, &settings, ATTUNE_STAGE_SYNTHETIC, &events));
    cr_assert_eq(attune_tracks_count(data.tracks), 4);
    int found = 0;
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        for (uint32_t i = 0; i < data.parts[p].count; i++) {
            const attune_triplet *t = &data.parts[p].triplets[i];
            for (int k = 0; k < 3; k++) {
                found += !strcmp(id_of(&data, t->anchor), expected[k][0]) &&
                         !strcmp(id_of(&data, t->positive), expected[k][1]) &&
                         !strcmp(id_of(&data, t->negative), expected[k][2]);
            }
        }
    }
    cr_assert_eq(found, 3);
    attune_stage_data_close(&data);
    free(triplets);
    free(manifest);
    free(folder);
}
