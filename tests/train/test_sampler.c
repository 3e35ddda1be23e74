/* Batches: an epoch has everything once, clips lie where they may, and a batch depends on nothing
 * but the seed, the epoch and the step. */
#include "train/sampler.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 23, MOST = 256 };

/* TRACKS tracks by a manifest; artist i / 3, the last three without; group i % 2. */
static attune_tracks *make_tracks(void)
{
    attune_tracks *tracks = NULL;
    char *folder = temporary_path("audio"), *manifest = temporary_path("tracks.csv"), text[4096];
    size_t used = (size_t)sprintf(text, "id,artist,group\n");
    cr_assert_eq(run_command("mkdir -p '%s'", folder), 0);
    for (int i = 0; i < TRACKS; i++) {
        char path[600], artist[16] = "";
        snprintf(path, sizeof(path), "%s/t%d.mp3", folder, i);
        write_file(path, "x", 1);
        if (i < TRACKS - 3) {
            snprintf(artist, sizeof(artist), "a%d", i / 3);
        }
        used += (size_t)sprintf(text + used, "t%d,%s,g%d\n", i, artist, i % 2);
    }
    write_file(manifest, text, used);
    assert_ok(attune_tracks_open(&tracks, folder));
    assert_ok(attune_tracks_add_manifest(tracks, manifest));
    cr_assert_eq(attune_tracks_count(tracks), TRACKS);
    free(manifest);
    free(folder);
    return tracks;
}

struct source {
    size_t samples[TRACKS];
    uint32_t chosen[TRACKS];
    attune_triplet triplets[10];
};

static attune_sampler_source fill(struct source *s, attune_tracks *tracks, bool triplets)
{
    for (uint32_t i = 0; i < TRACKS; i++) {
        s->samples[i] = 100 + 50 * i;
        s->chosen[i] = i;
    }
    for (uint32_t i = 0; i < 10; i++) {
        s->triplets[i] = (attune_triplet){.anchor = i, .positive = i + 1, .negative = i + 5};
    }
    return (attune_sampler_source){.tracks = tracks,
                                   .samples = s->samples,
                                   .span = 120,
                                   .triplets = triplets ? s->triplets : NULL,
                                   .triplet_count = triplets ? 10 : 0,
                                   .chosen = s->chosen,
                                   .chosen_count = triplets ? 0 : TRACKS};
}

static attune_settings settings_of(const char *batch, const char *views, const char *label)
{
    attune_settings settings = {0};
    cr_assert_eq(attune_settings_set(&settings, "batch", batch), ATTUNE_OK);
    cr_assert_eq(attune_settings_set(&settings, "views", views), ATTUNE_OK);
    cr_assert_eq(attune_settings_set(&settings, "label", label), ATTUNE_OK);
    attune_settings_complete(&settings, ATTUNE_STAGE_UNLABELLED);
    return settings;
}

Test(sampler, an_epoch_has_every_triplet_once)
{
    attune_tracks *tracks = make_tracks();
    struct source s;
    const attune_sampler_source source = fill(&s, tracks, true);
    const attune_settings settings = settings_of("4", "2", "track");
    attune_sampler *sampler = NULL;
    attune_sample samples[MOST];
    uint32_t orders[2][10];
    cr_assert_eq(attune_sampler_open(&sampler, &settings, &source), ATTUNE_OK);
    cr_assert_eq(attune_sampler_steps(sampler), 3);
    cr_assert_eq(attune_sampler_most(sampler), 12);
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[10] = {0}, at = 0;
        for (int step = 0; step < 3; step++) {
            const int B = attune_sampler_batch(sampler, samples, epoch, step) / 3;
            cr_assert_eq(B, step < 2 ? 4 : 2);
            for (int i = 0; i < B; i++) {
                const uint32_t anchor = samples[i].track;
                cr_assert_eq(samples[B + i].track, anchor + 1);
                cr_assert_eq(samples[2 * B + i].track, anchor + 5);
                seen[anchor]++;
                orders[epoch][at++] = anchor;
            }
        }
        for (int i = 0; i < 10; i++) {
            cr_assert_eq(seen[i], 1);
        }
    }
    cr_assert_neq(memcmp(orders[0], orders[1], sizeof(orders[0])), 0);
    attune_sampler_close(sampler);
    attune_tracks_close(tracks);
}

struct views {
    int views;
    char label[8];
};

ParameterizedTestParameters(sampler, views_are_of_the_label_and_within_the_track)
{
    static struct views cases[] = {
        {1, "track"}, {2, "track"}, {5, "track"}, {3, "artist"}, {2, "group"}};
    return cr_make_param_array(struct views, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct views *c, sampler, views_are_of_the_label_and_within_the_track)
{
    attune_tracks *tracks = make_tracks();
    struct source s;
    char views[16];
    snprintf(views, sizeof(views), "%d", c->views);
    const attune_sampler_source source = fill(&s, tracks, false);
    const attune_settings settings = settings_of("5", views, c->label);
    attune_sampler *sampler = NULL;
    attune_sample samples[MOST];
    int seen[TRACKS] = {0};
    cr_assert_eq(attune_sampler_open(&sampler, &settings, &source), ATTUNE_OK);
    for (int step = 0; step < attune_sampler_steps(sampler); step++) {
        const int B = attune_sampler_batch(sampler, samples, 3, step);
        cr_assert_eq(B % c->views, 0);
        for (int i = 0; i < B; i += c->views) {
            seen[samples[i].track]++;
            for (int v = 0; v < c->views; v++) {
                const attune_sample *x = &samples[i + v];
                const size_t kept = s.samples[x->track];
                cr_assert_eq(x->label, samples[i].label);
                cr_assert(x->start + source.span <= kept || x->start == 0);
                /* Views of one track lie apart where they can. */
                if (v > 0 && strcmp(c->label, "track") == 0 && kept >= 120u * (size_t)c->views) {
                    cr_assert_geq(x->start, x[-1].start + 120);
                }
            }
        }
    }
    for (int i = 0; i < TRACKS; i++) {
        cr_assert_eq(seen[i], 1);
    }
    attune_sampler_close(sampler);
    attune_tracks_close(tracks);
}

Test(sampler, a_batch_is_a_function_of_its_epoch_and_step)
{
    attune_tracks *tracks = make_tracks();
    struct source s;
    const attune_sampler_source source = fill(&s, tracks, false);
    const attune_settings settings = settings_of("5", "2", "artist");
    attune_sampler *one = NULL, *other = NULL;
    attune_sample a[MOST], b[MOST];
    cr_assert_eq(attune_sampler_open(&one, &settings, &source), ATTUNE_OK);
    cr_assert_eq(attune_sampler_open(&other, &settings, &source), ATTUNE_OK);
    for (int epoch = 0; epoch < 3; epoch++) {
        for (int step = 0; step < attune_sampler_steps(one); step++) {
            attune_sampler_batch(other, b, epoch + 7, 0);
        }
    }
    for (int epoch = 2; epoch >= 0; epoch--) {
        for (int step = attune_sampler_steps(one); step-- > 0;) {
            const int B = attune_sampler_batch(one, a, epoch, step);
            cr_assert_eq(attune_sampler_batch(other, b, epoch, step), B);
            cr_assert_eq(memcmp(a, b, (size_t)B * sizeof(a[0])), 0);
        }
    }
    attune_sampler_close(other);
    attune_sampler_close(one);
    attune_tracks_close(tracks);
}

Test(sampler, refuses_what_makes_no_batch)
{
    attune_tracks *tracks = make_tracks();
    struct source s;
    attune_sampler_source source = fill(&s, tracks, false);
    attune_settings settings = settings_of("5", "2", "album");
    attune_sampler *sampler = NULL;
    cr_assert_eq(attune_sampler_open(&sampler, &settings, &source), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), "share a label"));
    settings = settings_of("5", "2", "track");
    source.chosen_count = 1;
    cr_assert_eq(attune_sampler_open(&sampler, &settings, &source), ATTUNE_EINVAL);
    cr_assert_null(sampler);
    attune_tracks_close(tracks);
}
