/* Settings of glibc's allocator, made before main.
 *
 * By default it keeps up to eight heaps for each core and grows the size from which a block is given back to the system at
 * once. Measured with core/benches/memory.sh on a backup of 60,000 messages: 161 MB with the defaults, 117 MB with two heaps
 * and blocks from 256 KiB on given back at once.
 *
 * What is given back is cleared by the system before it comes again. Most blocks of a pack are some 256 KiB long: with a limit
 * right there, and at most 1 MiB kept, a backup of half a GB of office files took 322,000 page faults and 1.3 s of the system's
 * time; with these, 186,000 and 0.8 s, and some 7 MiB more memory. */

#include <malloc.h>

__attribute__((constructor)) static void set_up_allocator(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 512 * 1024);
    mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
}
