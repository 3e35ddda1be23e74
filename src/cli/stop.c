/* stop.c - notes signals. What they mean is in stop.h. */
#include "cli/stop.h"

#include "cli/cli.h"

#include <signal.h>

static volatile sig_atomic_t noted;

static void on_signal(int number)
{
    noted = number;
    if (number != SIGUSR1) { /* any second one ends the process at once */
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
    }
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
    note(SIGINT, 0);
    note(SIGTERM, 0);
    note(SIGHUP, 0);
    signal(SIGPIPE, SIG_IGN);
}

int stop_signal(void)
{
    return noted;
}

int stop_exit_code(void)
{
    return noted == SIGUSR1 ? EXIT_STOPPED : EXIT_SIGNAL + (int)noted;
}
