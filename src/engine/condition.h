/* condition.h - condition variables whose timed waits do not follow the clock on the wall. */
#ifndef ATTUNE_SRC_ENGINE_CONDITION_H
#define ATTUNE_SRC_ENGINE_CONDITION_H

#include <pthread.h>
#include <time.h>

/* For pthread_cond_timedwait with times of CLOCK_MONOTONIC. */
static inline void attune_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* pthread_cond_timedwait, for at most so many nanoseconds from now. */
static inline int attune_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                        long nanoseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += nanoseconds;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_cond_timedwait(condition, mutex, &until);
}

#endif
