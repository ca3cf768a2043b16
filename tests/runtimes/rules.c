/* Runs the rules of the kit for C on the texts of the standard input, as rules.mjs does for Node.
 *
 * usage: rules CONFIG.JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "json.h"
#include "rule.h"

static void require(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "%s\n", what);
  exit(3);
}

static char *read_all(FILE *file, size_t *size) {
  char *data = NULL;
  size_t room = 0, got;
  *size = 0;
  do {
    for (size_t least = *size + 65536; room < least;)
      require(!rnnx_grow((void **)&data, &room, room, 1), "memory");
    got = fread(data + *size, 1, room - *size, file);
    *size += got;
  } while (got);
  return data;
}

/* The special tokens, the words and a feature, as lines. */
static rnnx_vocabulary read_words(const rnnx_json *words) {
  rnnx_vocabulary vocabulary;
  char *lines = malloc(1 << 20), *at = lines + sprintf(lines, "<pad>\n<start>\n<unknown>\n");
  for (size_t i = 0; i < words->count; i++) {
    size_t size;
    char *word = rnnx_json_read_hex(&words->items[i], &size);
    require(word && at + size + 32 < lines + (1 << 20), "words");
    memcpy(at, word, size);
    at[size] = '\n';
    at += size + 1;
    free(word);
  }
  at += sprintf(at, "SUFFIX1=s\n");
  require(!rnnx_vocabulary_read(&vocabulary, lines, (size_t)(at - lines), words->count + 4), "vocabulary");
  free(lines);
  return vocabulary;
}

static void print_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens) {
  require(!rnnx_rule_write_tokens(rule, word, size, tokens), "tokens");
  for (size_t k = 0, at = 0; k < tokens->count; k++) {
    printf(k ? ",\"" : "[\"");
    for (; at < tokens->ends[k]; at++) printf("%02x", (unsigned char)tokens->bytes[at]);
    printf("\"");
  }
  printf("]");
}

static void print_text(const rnnx_rule *rule, const char *text, size_t size) {
  rnnx_spans spans = {0};
  rnnx_tokens tokens = {0};
  require(!rnnx_rule_split(rule, text, size, &spans), "split");
  printf("[[");
  for (size_t i = 0; i < spans.count; i++) {
    const int is_new = i && spans.items[i].sentence != spans.items[i - 1].sentence;
    printf("%s[%zu,%zu]", is_new ? "],[" : i ? "," : "[", spans.items[i].start, spans.items[i].end);
  }
  printf(spans.count ? "]],[" : "],[");
  for (size_t i = 0; i < spans.count; i++) {
    if (i) printf(",");
    print_tokens(rule, text + spans.items[i].start, spans.items[i].end - spans.items[i].start, &tokens);
  }
  printf("]]");
  rnnx_tokens_free(&tokens);
  free(spans.items);
}

int main(int count, char **words) {
  char message[1024];
  size_t size, config_size;
  FILE *file = fopen(count > 1 ? words[1] : "", "rb");
  require(file != NULL, "usage: rules CONFIG.JSON");
  char *config_text = read_all(file, &config_size), *text = read_all(stdin, &size);
  fclose(file);
  rnnx_json *config = rnnx_json_parse(config_text, config_size), *given = rnnx_json_parse(text, size);
  require(config && given && config->kind == RNNX_OBJECT && config->count == 1, "JSON");
  const rnnx_json *settings = rnnx_json_get(given, "settings", RNNX_OBJECT);
  const rnnx_json *texts = rnnx_json_get(given, "texts", RNNX_LIST);
  rnnx_vocabulary vocabulary = read_words(rnnx_json_get(given, "words", RNNX_LIST));
  /* What `rnnx embed` writes has both in one object. */
  rnnx_json items[2] = {config->items[0], *settings}, both = {.kind = RNNX_OBJECT};
  items[1].key = "words";
  both.items = items;
  both.count = 2;
  rnnx_rule rule;
  if (rnnx_rule_read(&rule, &both, &vocabulary, message)) require(0, message);
  for (size_t i = 0; i < texts->count; i++) {
    size_t length;
    char *bytes = rnnx_json_read_hex(&texts->items[i], &length);
    char *exact = malloc(length ? length : 1); /* no byte more, so that a tool finds a read after the end */
    require(bytes && exact, "text");
    memcpy(exact, bytes, length);
    printf(i ? ",\n" : "[");
    print_text(&rule, exact, length);
    free(bytes);
    free(exact);
  }
  printf("]\n");
  rnnx_rule_free(&rule);
  rnnx_vocabulary_free(&vocabulary);
  rnnx_json_free(config);
  rnnx_json_free(given);
  free(config_text);
  free(text);
  return 0;
}
