package dev.millrace.config;

/**
 * A key of a configuration as it is described: the schema and the documentation's tables come from
 * it. The readers ask for keys by themselves; a test holds what they ask for against this.
 *
 * @param name the key
 * @param value what may stand there
 * @param absence what it means that it is not there
 * @param meaning what it is for, in Markdown
 */
record Key(String name, Value value, Absence absence, String meaning) {}
