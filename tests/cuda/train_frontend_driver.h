/* train_frontend_driver.h - the CUDA training front end against the reference, through whatever
 * CUDA runtime the test is linked with: the stand-in with emulated kernels, or a device's. */
#ifndef ATTUNE_TESTS_CUDA_TRAIN_FRONTEND_DRIVER_H
#define ATTUNE_TESTS_CUDA_TRAIN_FRONTEND_DRIVER_H

#include "tests/support/train_problem.h"

/* Solves the problem, frozen or not, and compares with the reference; then again, on memory with
 * room to spare, and compares bits. */
void driver_check_train_frontend(train_shape shape, bool frozen);

#endif
