package dev.millrace.config;

/** Which records of a name are a pool's workers. */
public enum DnsType implements Keyword {
  /** IPv4 addresses. */
  A,
  /** IPv6 addresses. */
  AAAA,
  /** Names of hosts, each with a port; their IPv4 addresses are asked for in turn. */
  SRV;

  /** Types of records are written in capital letters everywhere. */
  @Override
  public String keyword() {
    return name();
  }
}
