#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int rnnx_fail(char *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (message) {
    vsnprintf(message, RNNX_MESSAGE_BYTES, format, arguments);
    message[strcspn(message, "\r\n")] = 0;
  }
  va_end(arguments);
  return -1;
}
