/* stop.c - notes signals. What they mean is in stop.h. */
#include "cli/stop.h"

#include "cli/cli.h"

#include <signal.h>

static volatile sig_atomic_t noted;

static void on_signal(int number)
{
    noted = number;
}

static void note(int number, int flags)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
        sigaction(number, &action, NULL);
    }
}

void stop_on_usr1(void)
{
    note(SIGUSR1, SA_RESTART);
}

void stop_on_signals(void)
{
    note(SIGINT, (int)SA_RESETHAND);
    note(SIGTERM, (int)SA_RESETHAND);
    note(SIGHUP, (int)SA_RESETHAND);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int stop_signal(void)
{
    return noted;
}

int stop_exit_code(void)
{
    return noted == SIGUSR1 ? EXIT_STOPPED : EXIT_SIGNAL + (int)noted;
}
