package dev.millrace.config;

/** How workers are spoken to. */
public enum UrlScheme implements Keyword {
  /** In the clear. */
  HTTP,
  /** By TLS. */
  HTTPS
}
