/* onnx_spell.h - a model as an ONNX file, in any of the ways in which exporters write the same
 * network. */
#ifndef ATTUNE_TESTS_MODEL_ONNX_SPELL_H
#define ATTUNE_TESTS_MODEL_ONNX_SPELL_H

#include "model/parameters.h"
#include "tests/model/onnx_build.h"

enum gelu_spelling {
    GELU_ERF,        /* (x (erf(x / sqrt 2) + 1)) 0.5, as TorchScript */
    GELU_HALF_FIRST, /* x (0.5 (1 + erf(x / sqrt 2))), as PyTorch's graph exporter */
    GELU_SCALED,     /* (0.5 x) (erf(x 0.7071) + 1) */
    GELU_HALF_ERF,   /* x (0.5 erf + 0.5) */
    GELU_OPERATOR,   /* opset 20 */
};
enum linear_spelling { LINEAR_GEMM_TRANSPOSED, LINEAR_GEMM, LINEAR_ADD, LINEAR_ADD_BIAS_FIRST };
enum mean_spelling { MEAN_GLOBAL, MEAN_REDUCE, MEAN_REDUCE_KEEP };
enum attention_spelling {
    ATTENTION_SUM,
    ATTENTION_SUM_KEEP,
    ATTENTION_MATMUL,
    ATTENTION_MATMUL_AFTER
};
enum last_spelling { LAST_STATE, LAST_STATE_SLICE, LAST_GATHER, LAST_SLICE, LAST_GATHER_COMPUTED };
enum norm_spelling { NORM_EXPAND, NORM_CLIP, NORM_MAX, NORM_LP };
enum initial_spelling { INITIAL_NONE, INITIAL_SHAPED, INITIAL_EXPANDED, INITIAL_CONSTANT };
enum frame_spelling { FRAMES_SHAPED, FRAMES_DIRECT, FRAMES_COUNTED };

/* All zero: opset 17 and the first of each. */
typedef struct spelling {
    const char *name;
    int opset;
    int batch, samples; /* 0: not fixed */
    constant_spelling constants;
    enum gelu_spelling gelu;
    enum linear_spelling linear;
    enum mean_spelling mean;
    enum attention_spelling attention;
    enum last_spelling last;
    enum norm_spelling norm;
    enum initial_spelling initial;
    enum frame_spelling frames;
    bool batch_norm;     /* nodes of their own after the convolutions */
    bool gates_in_graph; /* PyTorch's order of gates in the constants, Slice and Concat in the graph
                          */
    bool passes;         /* Identity, Dropout and Cast here and there */
    bool dead;           /* nodes whose result nobody reads */
} spelling;

extern const spelling spellings[];
extern const int spelling_count;
const spelling *find_spelling(const char *name); /* one of them; asserts */

onnx_file *onnx_spell(const attune_model *model, const spelling *how);

#endif
