#include "rule.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "files.h"

int rnnx_spans_add(rnnx_spans *spans, size_t start, size_t end, int is_new) {
  if (rnnx_grow((void **)&spans->items, &spans->room, spans->count, sizeof *spans->items)) return -1;
  spans->sentences += is_new || !spans->sentences;
  spans->items[spans->count++] = (rnnx_span){start, end, spans->sentences - 1};
  return 0;
}

static int read_slot(const rnnx_json *name, rnnx_slot *slot) {
  static const char *const names[] = {"SUFFIX", "PREFIX"};
  *slot = (rnnx_slot){.feature = RNNX_SHAPE};
  if (name->kind != RNNX_STRING || name->size >= sizeof slot->name) return -1;
  memcpy(slot->name, name->text, name->size + 1);
  if (!strcmp(slot->name, "SHAPE")) return 0;
  for (int i = 0; i < 2; i++) {
    const char digit = slot->name[6];
    if (name->size == 7 && !strncmp(slot->name, names[i], 6) && digit >= '1' && digit <= '9') {
      slot->feature = i ? RNNX_PREFIX : RNNX_SUFFIX;
      slot->count = (size_t)(digit - '0');
      return 0;
    }
  }
  return -1;
}

static int read_slots(rnnx_rule *rule, const rnnx_json *names, char *message) {
  const size_t count = names ? names->count : 0;
  rule->slots = calloc(count + 1, sizeof *rule->slots);
  if (!rule->slots) return rnnx_fail(message, "out of memory");
  for (; rule->slot_count < count; rule->slot_count++)
    if (read_slot(&names->items[rule->slot_count], &rule->slots[rule->slot_count]))
      return rnnx_fail(message, "this package does not know a feature of config.json");
  return names ? 0 : rnnx_fail(message, "config.json is not that of a tagger: it has no features");
}

int rnnx_rule_read(rnnx_rule *rule, const rnnx_json *config, const rnnx_vocabulary *vocabulary, char *message) {
  const rnnx_json *words = rnnx_json_get(config, "words", RNNX_OBJECT);
  const rnnx_json *name = rnnx_json_get(words, "rule", RNNX_STRING); /* `bytes`, if there is none */
  const rnnx_json *characters = rnnx_json_get(config, "characters", RNNX_OBJECT);
  *rule = (rnnx_rule){0};
  if (read_slots(rule, rnnx_json_get(words, "features", RNNX_LIST), message)) return -1;
  if (!name || !strcmp(name->text, "bytes")) return 0;
  const rnnx_json *runs = strcmp(name->text, "unicode-14") ? NULL : rnnx_json_get(characters, "runs", RNNX_LIST);
  if (!runs) return rnnx_fail(message, "this package does not know the rule %s", name->text);
  rule->unicode = rnnx_unicode_read(runs, vocabulary, rnnx_json_is_true(words, "joins_hyphens"));
  return rule->unicode ? 0 : rnnx_fail(message, "the table of characters in config.json is damaged, or out of memory");
}

void rnnx_rule_free(rnnx_rule *rule) {
  free(rule->slots);
  rnnx_unicode_free(rule->unicode);
  *rule = (rnnx_rule){0};
}

int rnnx_rule_split(const rnnx_rule *rule, const char *text, size_t size, rnnx_spans *spans) {
  return rule->unicode ? rnnx_unicode_split(rule->unicode, text, size, spans) : rnnx_bytes_split(text, size, spans);
}

int rnnx_rule_write_tokens(const rnnx_rule *rule, const char *word, size_t size, rnnx_tokens *tokens) {
  tokens->count = tokens->size = 0;
  return rule->unicode ? rnnx_unicode_write_tokens(rule, word, size, tokens)
                       : rnnx_bytes_write_tokens(rule, word, size, tokens);
}
