#include "utf8.h"

size_t rnnx_utf8_size(unsigned char lead) {
  return lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t rnnx_utf8_read(const unsigned char *bytes, size_t size, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const size_t count = rnnx_utf8_size(bytes[0]);
  *code = bytes[0];
  if (count == 1 || count > size) return 1;
  uint32_t read = bytes[0] & (0x7fu >> count);
  for (size_t i = 1; i < count; i++) {
    if ((bytes[i] & 0xc0) != 0x80) return 1;
    read = read << 6 | (bytes[i] & 0x3f);
  }
  if (read > 0x10ffff || read < least[count]) return 1;
  *code = read;
  return count;
}

size_t rnnx_utf8_write(uint32_t code, char *out) {
  static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
  if (code < 0x80) {
    *out = (char)code;
    return 1;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  *out++ = (char)(first[more] | code >> 6 * more);
  for (int i = more - 1; i >= 0; i--) *out++ = (char)(0x80 | (code >> 6 * i & 0x3f));
  return (size_t)more + 1;
}

int rnnx_hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lowered = (char)(digit | 0x20);
  return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}
