/* gate.h - who may ask, and how often.
 *
 * With a token, every request must bring it: in a cookie, which opening /?token=T sets, or as
 * Authorization: Bearer T. The cookie holds the token's SHA-256, its name the port: browsers send
 * the cookies of a host to all its ports. Without a token, the name in the Host header must be this
 * machine's own: a page of some other site that had its name point to 127.0.0.1 could otherwise ask
 * on the reader's behalf.
 *
 * Each address has a bucket of requests that fills again at the rate. Loopback has none: there, a
 * server that forwards requests brings those of all addresses. */
#ifndef ATTUNE_SRC_WEB_GATE_H
#define ATTUNE_SRC_WEB_GATE_H

#include "attune/status.h"
#include "status/digest.h"

#include <stdbool.h>

struct sockaddr;

typedef struct attune_gate attune_gate;

/* `token` may be NULL: none is needed. `rate` is in requests a second; 0 is no limit. */
attune_status attune_gate_create(attune_gate **out, const char *token, double rate);
void attune_gate_free(attune_gate *gate); /* NULL-safe */

bool attune_gate_has_token(const attune_gate *gate);

/* What the cookie is to hold. */
const char *attune_gate_cookie(const attune_gate *gate);

/* Whether a token, a cookie's text, or a header Authorization is good; NULL is not. Takes the same
 * time whatever of it is wrong. */
bool attune_gate_token_is_good(const attune_gate *gate, const char *token);
bool attune_gate_cookie_is_good(const attune_gate *gate, const char *cookie);
bool attune_gate_bearer_is_good(const attune_gate *gate, const char *authorization);

/* Whether a header Host names this machine: localhost or a loopback address, with any port. */
bool attune_gate_host_is_own(const char *host);

/* Counts a request of an address at a time in seconds; false when it has had too many. */
bool attune_gate_admit(attune_gate *gate, const struct sockaddr *address, double now);

#endif
