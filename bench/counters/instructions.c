// Counts the guest instructions a program executes under qemu-user, exactly and in all its threads.
//
//   qemu-aarch64 -plugin instructions.so,out=FILE PROGRAM…      bench/instructions.sh does this
//   qemu-aarch64 -plugin instructions.so,out=FILE,functions=FILE PROGRAM…
//
// At exit FILE gets one line, the number; the other gets a line "NUMBER SYMBOL" for each block of code, so a symbol
// many times. The count does not depend on the machine or on what else it runs; under
// qemu nothing else that is measured has that property.
//
// A block of code runs whole or not at all, but for the rare one that a signal or a fault interrupts. So one callback
// a block adds the block's length, which is known when it is translated.

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What we use of qemu's plug-in interface, the same in versions 1 (qemu 6.0 to 8.2) to 5 (10.1). Blocks could count
// without a callback, but that call has another name and signature in either half of these versions.
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *, void (*)(unsigned, void *), enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn;
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
// Came with version 2; looked for, never called.
__attribute__((weak)) void *qemu_plugin_scoreboard_new(size_t);

// Read by qemu before it calls us: 8.2 takes no version above 1, 9.0 none below 2.
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

__attribute__((constructor)) static void choose_version(void) {
    if (qemu_plugin_scoreboard_new) qemu_plugin_version = 2;
}

// A translated block. Blocks are never freed: qemu may translate one again, which makes another.
struct block {
    const char *symbol;
    uint64_t length;
    _Atomic uint64_t executions;
    struct block *next;
};
static struct block *_Atomic blocks;
static const char *out, *functions;

static void block_executed(unsigned thread, void *block) {
    (void)thread;
    atomic_fetch_add_explicit(&((struct block *)block)->executions, 1, memory_order_relaxed);
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    struct block *made = calloc(1, sizeof *made);
    if (!made) abort();
    made->length = qemu_plugin_tb_n_insns(block);
    const char *symbol = functions ? qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0)) : NULL;
    made->symbol = symbol ? strdup(symbol) : "?";
    // Several threads translate.
    made->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &made->next, made)) {}
    qemu_plugin_register_vcpu_tb_exec_cb(block, block_executed, QEMU_PLUGIN_CB_NO_REGS, made);
}

static void finished(qemu_plugin_id_t id, void *unused) {
    (void)id, (void)unused;
    uint64_t sum = 0;
    FILE *each = functions ? fopen(functions, "w") : NULL;
    for (struct block *block = atomic_load(&blocks); block; block = block->next) {
        uint64_t instructions = block->length * atomic_load(&block->executions);
        sum += instructions;
        if (each) fprintf(each, "%" PRIu64 " %s\n", instructions, block->symbol);
    }
    if (functions && (!each || fclose(each) != 0)) perror(functions);
    FILE *file = fopen(out, "w");
    if (!file || fprintf(file, "%" PRIu64 "\n", sum) < 0 || fclose(file) != 0) perror(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(
    qemu_plugin_id_t id, const void *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) out = strdup(arguments[i] + 4);
        if (strncmp(arguments[i], "functions=", 10) == 0) functions = strdup(arguments[i] + 10);
    }
    if (!out) {
        fputs("instructions: error: no file to write to. Add ,out=FILE to -plugin\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
