/* Puts a file into the program: the bytes are name[0] to name_end[0], and a zero follows them. */
#ifndef RNNX_EMBED_H
#define RNNX_EMBED_H

#if defined(__APPLE__)
#define RNNX_EMBED_BEGIN ".const_data\n"
#define RNNX_EMBED_SYMBOL(name) "_" #name
#elif defined(_WIN32)
#define RNNX_EMBED_BEGIN ".section .rdata\n"
#define RNNX_EMBED_SYMBOL(name) #name
#else
#define RNNX_EMBED_BEGIN ".section .rodata\n"
#define RNNX_EMBED_SYMBOL(name) #name
#endif

#if defined(__GNUC__)
#define RNNX_EMBED(name, file)                                                                        \
  __asm__(RNNX_EMBED_BEGIN ".balign 16\n" RNNX_EMBED_SYMBOL(name) ":\n.incbin \"" file                \
          "\"\n" RNNX_EMBED_SYMBOL(name##_end) ":\n.byte 0\n.text\n");                                \
  extern const char name[] __asm__(RNNX_EMBED_SYMBOL(name)), name##_end[] __asm__(RNNX_EMBED_SYMBOL(name##_end))
#else /* a compiler without .incbin: load() needs a folder */
#define RNNX_EMBED(name, file) static const char name[1] = {0}, *const name##_end = name
#endif

#endif
