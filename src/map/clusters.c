/* clusters.c - chooses the number, runs the method, and numbers clusters by their size. */
#include "map/clusters.h"

#include "map/gap.h"
#include "map/kmeans.h"
#include "map/mixture.h"
#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct group {
    uint32_t number, rows;
} group;

static int by_rows(const void *left, const void *right)
{
    const group *a = left, *b = right;
    return a->rows != b->rows ? (a->rows < b->rows ? 1 : -1)
                              : (a->number > b->number) - (a->number < b->number);
}

/* Numbers clusters by their size, and counts those that hold a row. */
static attune_status renumber(attune_clusters *out, uint32_t n, uint32_t K)
{
    group *groups = calloc(K, sizeof(*groups));
    int32_t *rank = calloc(K, sizeof(*rank));
    if (!groups || !rank) {
        free(groups);
        free(rank);
        return attune_fail_memory("clusters", K * 12ULL);
    }
    for (uint32_t k = 0; k < K; k++) {
        groups[k].number = k;
    }
    for (uint32_t i = 0; i < n; i++) {
        groups[out->cluster[i]].rows++;
    }
    qsort(groups, K, sizeof(*groups), by_rows);
    for (uint32_t k = 0; k < K; k++) {
        rank[groups[k].number] = (int32_t)k;
        out->K += groups[k].rows > 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        out->cluster[i] = rank[out->cluster[i]];
    }
    free(rank);
    free(groups);
    return ATTUNE_OK;
}

static attune_status mix(attune_clusters *out, const float *vectors, uint32_t n, uint32_t E,
                         uint32_t K, bool full, attune_team *team)
{
    attune_mixture mixture;
    const attune_status status =
        attune_mixture_open(&mixture, vectors, n, E, K, full, out->cluster, team);
    if (status == ATTUNE_OK) {
        int32_t *const before = out->cluster;
        out->cluster = mixture.cluster;
        mixture.cluster = before;
        attune_mixture_close(&mixture);
    }
    return status;
}

attune_status attune_clusters_open(attune_clusters *out, const float *vectors, uint32_t n,
                                   uint32_t E, const attune_clusters_options *options,
                                   attune_team *team)
{
    attune_kmeans kmeans;
    uint32_t K = options->K;
    *out = (attune_clusters){0};
    if (K > n) {
        return attune_fail(ATTUNE_EINVAL, "%u clusters of %u tracks: give a smaller number", K, n);
    }
    attune_status status =
        K ? ATTUNE_OK : attune_gap_find(&K, NULL, NULL, vectors, n, E, options->seed, team);
    if (status == ATTUNE_OK) {
        status = attune_kmeans_open(&kmeans, vectors, n, E, K, ATTUNE_KMEANS_STARTS, options->seed,
                                    team);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    out->cluster = kmeans.cluster;
    kmeans.cluster = NULL;
    attune_kmeans_close(&kmeans);
    if (options->mixture) {
        status = mix(out, vectors, n, E, K, !options->diagonal, team);
    }
    if (status == ATTUNE_OK) {
        status = renumber(out, n, K);
    }
    snprintf(out->method, sizeof(out->method), "%s, K = %u%s, seed %llu",
             !options->mixture   ? "kmeans"
             : options->diagonal ? "gmm with diagonal covariances"
                                 : "gmm with full covariances",
             K, options->K ? "" : " by the gap statistic", (unsigned long long)options->seed);
    if (status != ATTUNE_OK) {
        attune_clusters_close(out);
    }
    return status;
}

void attune_clusters_close(attune_clusters *clusters)
{
    if (clusters) {
        free(clusters->cluster);
        *clusters = (attune_clusters){0};
    }
}
