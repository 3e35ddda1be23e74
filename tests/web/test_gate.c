/* Tokens, names of hosts, and rates. */
#include "tests/support/support.h"
#include "web/gate.h"
#include "web/listen.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

Test(gate, token)
{
    attune_gate *gate = NULL;
    char text[128];
    cr_assert_eq(attune_gate_create(&gate, "open sesame", 0), ATTUNE_OK);
    cr_assert(attune_gate_has_token(gate));
    cr_assert(attune_gate_token_is_good(gate, "open sesame"));
    cr_assert(attune_gate_cookie_is_good(gate, attune_gate_cookie(gate)));
    cr_assert(attune_gate_bearer_is_good(gate, "Bearer open sesame"));
    cr_assert(attune_gate_bearer_is_good(gate, "bearer open sesame"));
    static const char *const wrong[] = {"", "open", "open sesame ", "open sesamf", "Open sesame"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "Bearer %s", wrong[i]);
        cr_assert(!attune_gate_token_is_good(gate, wrong[i]), "%s", wrong[i]);
        cr_assert(!attune_gate_bearer_is_good(gate, text), "%s", text);
        cr_assert(!attune_gate_cookie_is_good(gate, wrong[i]), "%s", wrong[i]);
    }
    cr_assert(!attune_gate_token_is_good(gate, NULL) && !attune_gate_cookie_is_good(gate, NULL) &&
              !attune_gate_bearer_is_good(gate, NULL));
    cr_assert(!attune_gate_bearer_is_good(gate, "open sesame"));
    cr_assert(!attune_gate_token_is_good(gate, attune_gate_cookie(gate)));
    for (int i = 0; i < 64; i++) { /* each letter of the cookie counts */
        snprintf(text, sizeof(text), "%s", attune_gate_cookie(gate));
        text[i] ^= 1;
        cr_assert(!attune_gate_cookie_is_good(gate, text), "letter %d", i);
    }
    attune_gate_free(gate);
    cr_assert_eq(attune_gate_create(&gate, NULL, 0), ATTUNE_OK);
    cr_assert(!attune_gate_has_token(gate) && !attune_gate_cookie_is_good(gate, "") &&
              !attune_gate_token_is_good(gate, ""));
    attune_gate_free(gate);
}

Test(gate, host)
{
    static const char *const own[] = {"localhost",    "localhost:8080", "127.0.0.1",
                                      "127.0.0.1:80", "127.1.2.3",      "[::1]",
                                      "[::1]:8080",   "LOCALHOST:8192", "Localhost"};
    static const char *const others[] = {"",
                                         ":",
                                         "example.org",
                                         "localhost.example.org",
                                         "127.0.0.1.example.org",
                                         "10.0.0.1",
                                         "[::2]:80",
                                         "[",
                                         "0.0.0.0",
                                         "localhosts",
                                         "::",
                                         "[::ffff:10.0.0.1]"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        cr_assert(attune_gate_host_is_own(own[i]), "%s", own[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert(!attune_gate_host_is_own(others[i]), "%s", others[i]);
    }
    char name[200];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    cr_assert(!attune_gate_host_is_own(NULL) && !attune_gate_host_is_own(name));
}

static struct sockaddr_in6 address6(const char *text)
{
    struct sockaddr_in6 out = {.sin6_family = AF_INET6};
    cr_assert_eq(inet_pton(AF_INET6, text, &out.sin6_addr), 1);
    return out;
}

static int admitted(attune_gate *gate, const void *address, double now, int tries)
{
    int count = 0;
    for (int i = 0; i < tries; i++) {
        count += attune_gate_admit(gate, address, now);
    }
    return count;
}

/* Ten a second: forty at once, then ten more for each second. */
Test(gate, rate)
{
    attune_gate *gate = NULL;
    struct sockaddr_in one = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000001)}};
    struct sockaddr_in two = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000002)}};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000001)}};
    const struct sockaddr_in6 near = address6("2001:db8::1"), same = address6("2001:db8::ffff:2");
    const struct sockaddr_in6 other = address6("2001:db8:0:1::1"),
                              mapped = address6("::ffff:127.0.0.1");
    cr_assert_eq(attune_gate_create(&gate, NULL, 10), ATTUNE_OK);
    cr_assert_eq(admitted(gate, &one, 100, 50), 40);
    cr_assert_eq(admitted(gate, &one, 100.05, 5), 0);
    cr_assert_eq(admitted(gate, &two, 100.05, 50), 40, "another address has its own");
    cr_assert_eq(admitted(gate, &one, 101, 50), 10);
    cr_assert_eq(admitted(gate, &one, 1000, 50), 40, "and no more than at first");
    cr_assert_eq(admitted(gate, &own, 100, 1000), 1000);
    cr_assert_eq(admitted(gate, &mapped, 100, 1000), 1000);
    cr_assert_eq(admitted(gate, &near, 100, 30) + admitted(gate, &same, 100, 30), 40);
    cr_assert_eq(admitted(gate, &other, 100, 50), 40);
    /* As clients come over IPv4 to a server that listens at "::". */
    const struct sockaddr_in6 first = address6("::ffff:192.0.2.1");
    const struct sockaddr_in6 second = address6("::ffff:192.0.2.2");
    cr_assert_eq(admitted(gate, &first, 100, 50), 40);
    cr_assert_eq(admitted(gate, &second, 100, 50), 40, "each IPv4 address has its own");
    attune_gate_free(gate);
    cr_assert_eq(attune_gate_create(&gate, NULL, 0), ATTUNE_OK);
    cr_assert_eq(admitted(gate, &one, 100, 1000), 1000);
    attune_gate_free(gate);
}
