/* test_trainable.c - where each tensor stands, how it begins, and what folding makes of it. */
#include "tests/model/networks.h"

#include "model/random.h"
#include "model/trainable.h"

#include <criterion/criterion.h>

Test(trainable, placeholder)
{
    cr_assert(true);
}
