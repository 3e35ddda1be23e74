/* gate.c - tokens as digests, and a table of buckets. The rules are in gate.h. */
#include "web/gate.h"

#include "status/error.h"
#include "status/hash.h"
#include "web/listen.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { BUCKETS = 4096, BURST_SECONDS = 4 };

/* Of one address; when two fall on one, the newer starts it afresh. */
typedef struct bucket {
    uint64_t address; /* its hash */
    double left;      /* requests */
    double since;     /* when `left` was true */
} bucket;

struct attune_gate {
    char cookie[ATTUNE_DIGEST_SIZE]; /* "": no token */
    double rate;
    pthread_mutex_t mutex; /* of the buckets */
    bucket buckets[BUCKETS];
};

attune_status attune_gate_create(attune_gate **out, const char *token, double rate)
{
    attune_gate *gate = *out = calloc(1, sizeof(*gate));
    if (!gate) {
        return attune_fail_memory("a server", sizeof(*gate));
    }
    pthread_mutex_init(&gate->mutex, NULL);
    gate->rate = rate;
    const attune_status status =
        token ? attune_digest_bytes(gate->cookie, ATTUNE_SHA256, token, strlen(token)) : ATTUNE_OK;
    if (status != ATTUNE_OK) {
        attune_gate_free(gate);
        *out = NULL;
    }
    return status;
}

void attune_gate_free(attune_gate *gate)
{
    if (gate) {
        pthread_mutex_destroy(&gate->mutex);
        free(gate);
    }
}

bool attune_gate_has_token(const attune_gate *gate)
{
    return gate->cookie[0];
}

const char *attune_gate_cookie(const attune_gate *gate)
{
    return gate->cookie;
}

bool attune_gate_token_is_good(const attune_gate *gate, const char *token)
{
    char digest[ATTUNE_DIGEST_SIZE];
    return token && attune_digest_bytes(digest, ATTUNE_SHA256, token, strlen(token)) == ATTUNE_OK &&
           attune_gate_cookie_is_good(gate, digest);
}

bool attune_gate_cookie_is_good(const attune_gate *gate, const char *cookie)
{
    unsigned difference = 0;
    if (!cookie || strlen(cookie) != ATTUNE_DIGEST_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < ATTUNE_DIGEST_SIZE - 1; i++) {
        difference |= (unsigned char)cookie[i] ^ (unsigned char)gate->cookie[i];
    }
    return difference == 0 && gate->cookie[0];
}

bool attune_gate_bearer_is_good(const attune_gate *gate, const char *authorization)
{
    static const char kind[] = "Bearer ";
    return authorization && strncasecmp(authorization, kind, sizeof(kind) - 1) == 0 &&
           attune_gate_token_is_good(gate, authorization + sizeof(kind) - 1);
}

bool attune_gate_host_is_own(const char *host)
{
    char name[64];
    if (!host) {
        return false;
    }
    const bool bracket = host[0] == '[';
    const size_t length = strcspn(host + bracket, bracket ? "]" : ":");
    if (length == 0 || length >= sizeof(name)) {
        return false;
    }
    memcpy(name, host + bracket, length);
    name[length] = '\0';
    return attune_web_is_loopback(name);
}

/* Of IPv6 the network alone counts: a house has 2^64 addresses. All of IPv4 is one such network. */
static uint64_t hash_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            return attune_hash(ATTUNE_HASH_BEGIN, in->sin6_addr.s6_addr + 12, 4);
        }
        return attune_hash(ATTUNE_HASH_BEGIN, &in->sin6_addr, 8);
    }
    const struct sockaddr_in *in = (const void *)address;
    return attune_hash(ATTUNE_HASH_BEGIN, &in->sin_addr, sizeof(in->sin_addr));
}

bool attune_gate_admit(attune_gate *gate, const struct sockaddr *address, double now)
{
    if (gate->rate <= 0 || !address || attune_web_from_loopback(address)) {
        return true;
    }
    const uint64_t hash = hash_of(address);
    const double full = gate->rate * BURST_SECONDS;
    pthread_mutex_lock(&gate->mutex);
    bucket *b = &gate->buckets[(hash >> 32) % BUCKETS];
    if (b->address != hash) {
        *b = (bucket){.address = hash, .left = full, .since = now};
    }
    b->left += (now - b->since) * gate->rate;
    b->left = b->left < full ? b->left : full;
    b->since = now;
    const bool admitted = b->left >= 1;
    b->left -= admitted ? 1 : 0;
    pthread_mutex_unlock(&gate->mutex);
    return admitted;
}
