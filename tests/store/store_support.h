/* store_support.h - rows that a number determines, and what tests of the store share. */
#ifndef ATTUNE_TESTS_STORE_SUPPORT_H
#define ATTUNE_TESTS_STORE_SUPPORT_H

#include "attune/store.h"

/* Attributes with every field set. */
attune_store_attributes test_attributes(int embedding);

/* Appends rows [first, first + count) of an endless series: every status, long, empty and odd
 * texts, numbers at the ends of their range, and rows without an embedding. */
void append_test_rows(attune_rows *rows, int embedding, size_t first, size_t count);

/* Asserts that `rows` from `at` on are rows [first, first + count) of that series, bit for bit. */
void assert_test_rows(const attune_rows *rows, size_t at, int embedding, size_t first,
                      size_t count);

/* Writes the series' first `count` rows to `path`, handed over in pieces of `piece` rows. */
void write_test_file(const char *path, int embedding, size_t count, size_t piece);

/* Writes the output `path`, which holds these rows; they stay the caller's. */
void write_rows(const char *path, const attune_store_attributes *attributes,
                const attune_rows *rows);

/* Asserts that `path` holds the series' first `count` rows. */
void assert_test_file(const char *path, int embedding, size_t count);

/* Number of names in a folder, hidden ones too. */
size_t count_names(const char *folder);

#endif
