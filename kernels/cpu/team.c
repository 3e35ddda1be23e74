/* team.c - threads that wait for work; the caller is thread 0. */
#include "kernels/cpu/team.h"

#include "status/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
    attune_team *team;
    int index;
    pthread_t thread;
} member;

struct attune_team {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    unsigned run; /* counts the runs, so that a member knows a new one */
    int busy;     /* members that have not ended this run */
    bool closing;

    attune_team_work *work;
    void *data;
    int pieces;
    atomic_int next;

    int started; /* members that have a thread, from 1 */
    int threads;
    member members[];
};

static void take_pieces(attune_team *team, int thread)
{
    for (int i; (i = atomic_fetch_add(&team->next, 1)) < team->pieces;) {
        team->work(team->data, i, thread);
    }
}

static void *member_main(void *argument)
{
    member *self = argument;
    attune_team *team = self->team;
    unsigned seen = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->run == seen && !team->closing) {
            pthread_cond_wait(&team->wake, &team->lock);
        }
        if (team->closing) {
            break;
        }
        seen = team->run;
        pthread_mutex_unlock(&team->lock);
        take_pieces(team, self->index);
        pthread_mutex_lock(&team->lock);
        if (--team->busy == 0) {
            pthread_cond_signal(&team->done);
        }
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

attune_status attune_team_open(attune_team **out, int threads)
{
    attune_team *team = calloc(1, sizeof(*team) + (size_t)threads * sizeof(member));
    *out = NULL;
    if (!team) {
        return attune_fail_memory("a team of threads", sizeof(*team));
    }
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->done, NULL);
    team->threads = threads;
    team->started = 1;
    for (int i = 1; i < threads; i++) {
        team->members[i] = (member){.team = team, .index = i};
        int error = pthread_create(&team->members[i].thread, NULL, member_main, &team->members[i]);
        if (error) {
            attune_team_close(team);
            return attune_fail(ATTUNE_ENOMEM, "cannot start thread %d of %d: %s", i + 1, threads,
                               strerror(error));
        }
        team->started++;
    }
    *out = team;
    return ATTUNE_OK;
}

void attune_team_close(attune_team *team)
{
    if (!team) {
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->closing = true;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (int i = 1; i < team->started; i++) {
        pthread_join(team->members[i].thread, NULL);
    }
    pthread_cond_destroy(&team->done);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

void attune_team_run(attune_team *team, attune_team_work *work, void *data, int pieces)
{
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->data = data;
    team->pieces = pieces;
    atomic_store(&team->next, 0);
    team->busy = team->threads - 1;
    team->run++;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    take_pieces(team, 0);
    pthread_mutex_lock(&team->lock);
    while (team->busy > 0) {
        pthread_cond_wait(&team->done, &team->lock);
    }
    pthread_mutex_unlock(&team->lock);
}

int attune_team_threads(const attune_team *team)
{
    return team->threads;
}
