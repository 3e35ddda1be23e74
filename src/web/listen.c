/* listen.c - made here and not by libmicrohttpd, which would only say that it failed. */
#include "web/listen.h"

#include "status/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* NULL for what is no address; freeaddrinfo it. */
static struct addrinfo *look_up(const char *address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const char *numbers = strcasecmp(address, "localhost") == 0 ? "127.0.0.1" : address;
    return getaddrinfo(numbers, NULL, &hints, &found) == 0 ? found : NULL;
}

bool attune_web_is_address(const char *address)
{
    struct addrinfo *found = look_up(address);
    if (found) {
        freeaddrinfo(found);
    }
    return found;
}

bool attune_web_from_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) && in->sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

bool attune_web_is_loopback(const char *address)
{
    struct addrinfo *found = look_up(address);
    const bool loopback = found && attune_web_from_loopback(found->ai_addr);
    if (found) {
        freeaddrinfo(found);
    }
    return loopback;
}

static void set_port(struct sockaddr *address, int port)
{
    if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
    }
}

/* The name of this machine in place of an address that stands for all of them. */
static void name_machine(char text[INET6_ADDRSTRLEN])
{
    char name[INET6_ADDRSTRLEN] = "";
    if ((strcmp(text, "0.0.0.0") == 0 || strcmp(text, "::") == 0) &&
        gethostname(name, sizeof(name) - 1) == 0 && name[0]) {
        memcpy(text, name, sizeof(name));
    }
}

static attune_status write_url(char url[ATTUNE_WEB_URL_SIZE], int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof(bound);
    char text[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        return attune_fail(ATTUNE_EIO, "a socket's address: %s", strerror(errno));
    }
    const struct sockaddr_in6 *in6 = (const void *)&bound;
    const struct sockaddr_in *in4 = (const void *)&bound;
    const bool is6 = bound.ss_family == AF_INET6;
    inet_ntop(bound.ss_family, is6 ? (const void *)&in6->sin6_addr : &in4->sin_addr, text,
              sizeof(text));
    name_machine(text);
    const bool colons = strchr(text, ':');
    snprintf(url, ATTUNE_WEB_URL_SIZE, "http://%s%s%s:%d/", colons ? "[" : "", text,
             colons ? "]" : "", ntohs(is6 ? in6->sin6_port : in4->sin_port));
    return ATTUNE_OK;
}

attune_status attune_web_listen(int *out, char url[ATTUNE_WEB_URL_SIZE], const char *address,
                                int port)
{
    enum { WAITING = 128 };
    const int yes = 1;
    struct addrinfo *found = look_up(address);
    *out = -1;
    if (!found) {
        return attune_fail(ATTUNE_EINVAL, "%.60s: not an address to listen on, such as 127.0.0.1",
                           address);
    }
    set_port(found->ai_addr, port);
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Connections of a server that has just ended must not keep the next one from its port. */
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
                bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, WAITING) == 0;
    const int why = errno;
    freeaddrinfo(found);
    if (!good) {
        if (fd >= 0) {
            close(fd);
        }
        return attune_fail(ATTUNE_ECREATE, "port %d at %.60s: %s; name another with --port", port,
                           address, strerror(why));
    }
    const attune_status status = write_url(url, fd);
    if (status != ATTUNE_OK) {
        close(fd);
        return status;
    }
    *out = fd;
    return ATTUNE_OK;
}
