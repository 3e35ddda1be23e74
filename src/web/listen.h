/* listen.h - the socket that a server listens on. */
#ifndef ATTUNE_SRC_WEB_LISTEN_H
#define ATTUNE_SRC_WEB_LISTEN_H

#include "attune/status.h"

#include <stdbool.h>

struct sockaddr;

/* Room for "http://[<IPv6 address>]:65535/" and its end. */
#define ATTUNE_WEB_URL_SIZE 80

/* A socket that listens at `address`, an IPv4 or IPv6 address in numbers or "localhost", and
 * `port`; 0 is any that is free. `url` is where it can be reached. ATTUNE_EINVAL for what is no
 * address, ATTUNE_ECREATE when the port is in use or not ours to take. */
attune_status attune_web_listen(int *out, char url[ATTUNE_WEB_URL_SIZE], const char *address,
                                int port);

/* Whether attune_web_listen can take it for an address. */
bool attune_web_is_address(const char *address);

/* Whether an address in numbers, or "localhost", can only be reached from this machine. */
bool attune_web_is_loopback(const char *address);
bool attune_web_from_loopback(const struct sockaddr *address);

#endif
