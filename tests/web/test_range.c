/* Parts that Range headers ask for, of 100 bytes unless said. */
#include "tests/support/support.h"
#include "web/range.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

typedef struct range_case {
    char header[64];
    size_t size;
    int part;
    size_t first, count;
} range_case;

ParameterizedTestParameters(range, cases)
{
    static range_case cases[] = {
        {"bytes=0-0", 100, ATTUNE_WEB_PART, 0, 1},
        {"bytes=0-99", 100, ATTUNE_WEB_PART, 0, 100},
        {"bytes=10-19", 100, ATTUNE_WEB_PART, 10, 10},
        {"bytes=99-", 100, ATTUNE_WEB_PART, 99, 1},
        {"bytes=50-1000", 100, ATTUNE_WEB_PART, 50, 50},
        {"bytes=0-99999999999999999999999", 100, ATTUNE_WEB_PART, 0, 100},
        {"bytes=-1", 100, ATTUNE_WEB_PART, 99, 1},
        {"bytes=-100", 100, ATTUNE_WEB_PART, 0, 100},
        {"bytes=-101", 100, ATTUNE_WEB_PART, 0, 100},
        {"bytes=-99999999999999999999999", 100, ATTUNE_WEB_PART, 0, 100},
        {"bytes=100-", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=100-200", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=99999999999999999999999-", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=18446744073709551615-", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=-0", 100, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=0-", 0, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=-5", 0, ATTUNE_WEB_NOTHING, 0, 0},
        {"bytes=5-4", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=0-1,5-6", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=-", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=5", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=+5-6", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"bytes=5-6 ", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"Bytes", 100, ATTUNE_WEB_WHOLE, 0, 100},
        {"", 100, ATTUNE_WEB_WHOLE, 0, 100},
    };
    return cr_make_param_array(range_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(range_case *c, range, cases)
{
    size_t first = 0, count = 0;
    const attune_web_part part = attune_web_range(&first, &count, c->header, c->size);
    cr_assert_eq((int)part, c->part, "\"%s\" of %zu: %d", c->header, c->size, (int)part);
    if (part != ATTUNE_WEB_NOTHING) {
        cr_assert(first == c->first && count == c->count, "\"%s\": %zu from %zu", c->header, count,
                  first);
    }
}

/* Whatever the header says, a part lies within what there is. */
Test(range, within)
{
    static const char letters[] = "bytes=0123456789--,";
    uint64_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        char header[24] = "bytes=";
        size_t first = 0, count = 0;
        const size_t size = random_bits(&seed) % 20, length = 6 + random_bits(&seed) % 10;
        for (size_t k = 6; k < length; k++) {
            header[k] = letters[random_bits(&seed) % (sizeof(letters) - 1)];
        }
        if (attune_web_range(&first, &count, header, size) == ATTUNE_WEB_PART) {
            cr_assert(count > 0 && first + count <= size, "\"%s\" of %zu", header, size);
        }
    }
    size_t first = 1, count = 1;
    cr_assert_eq(attune_web_range(&first, &count, NULL, 7), ATTUNE_WEB_WHOLE);
    cr_assert(first == 0 && count == 7);
}
