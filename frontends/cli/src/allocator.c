/* Settings of glibc's allocator, made before main.
 *
 * By default it keeps up to eight heaps for each core and grows the size from which a block is given back to the system at
 * once. Measured with core/benches/memory.sh on a backup of 60,000 messages: 161 MB with the defaults, 117 MB with two heaps
 * and blocks from 256 KiB on given back at once. */

#include <malloc.h>

__attribute__((constructor)) static void set_up_allocator(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}
