/* `attune judge` as listeners use it: each test is a scenario of drive.py, which says what it does.
 * Counts are small here; more are given by hand: drive.py ATTUNE FOLDER listeners answers=2000 */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void drive(const char *scenario)
{
    const char *command = getenv("ATTUNE_COMMAND");
    cr_assert_not_null(command);
    cr_assert_eq(run_command("%s '%s' '%s' %s >&2", DRIVE, command, temporary_folder(), scenario),
                 0, "%s", scenario);
}

Test(judge, listeners)
{
    drive("listeners answers=300 kills=2");
}

Test(judge, hostile)
{
    drive("hostile requests=300");
}

Test(judge, http)
{
    drive("http");
}

Test(judge, token)
{
    drive("token");
}

Test(judge, tasks)
{
    drive("tasks");
}

Test(judge, broken)
{
    drive("broken");
}

Test(judge, vanished)
{
    drive("vanished");
}

Test(judge, asks_the_unsure_first)
{
    drive("active");
}
