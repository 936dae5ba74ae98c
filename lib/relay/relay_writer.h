/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_writer - makes changes: in batches, on the disk first, then in memory.
 *
 * For one thread, the store's.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_WRITER_H
#define POSTERN_LIB_RELAY_RELAY_WRITER_H

#include "lib/relay/relay_batch.h"
#include "lib/relay/relay_disk.h"
#include "lib/relay/relay_index.h"
#include "lib/relay/relay_settings.h"
#include "lib/relay/relay_store.h"
#include "lib/relay/relay_trouble.h"

#include <stdatomic.h>
#include <stddef.h>

struct relay_writer;

/* The disk is open when changes come. What is pointed to must live longer. */
struct relay_writer *relay_writer_new(struct relay_index *index, struct relay_disk *disk,
                                      struct relay_trouble *trouble, struct relay_counts *counts,
                                      const struct relay_settings *settings);
void relay_writer_free(struct relay_writer **writer);

/* Makes changes, in their order, and tells each when it is done. */
void relay_writer_take(struct relay_writer *writer, struct relay_change *changes);

/* Throws out what is beyond the window, and sees after the files; to be called now and then, and after the disk's `wake`. */
void relay_writer_tend(struct relay_writer *writer);

#endif
