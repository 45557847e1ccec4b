package dev.millrace.layout.compatibility;

import dev.millrace.layout.Layout;
import java.util.Arrays;
import java.util.Optional;

/** What a handshake's {@code kv_cache_layout} means. */
public final class HandshakeLayout {
  private HandshakeLayout() {}

  /**
   * The layout.
   *
   * @param name {@code HND} or {@code NHD} before connector version 9, the order of axes since
   * @param backend {@code attn_backend_name}: CPU attention says HND of its own layout
   * @param connectorVersion tells how a layer's K and V are kept under the older names
   * @return empty if the name is not known
   */
  public static Optional<Layout> of(String name, String backend, int connectorVersion) {
    ConnectorRelease release = new ConnectorRelease(connectorVersion);
    if (backend.equals(AttentionBackends.CPU)) {
      return Optional.of(Layout.CPU_ATTENTION);
    }
    return switch (name) {
      case "HND" ->
          AttentionBackends.usualLayout(backend, release).or(() -> packed(release, Layout.HND));
      case "NHD" ->
          AttentionBackends.usualLayout(backend, release)
              .flatMap(HandshakeLayout::tokensOutermost)
              .or(() -> packed(release, Layout.NHD));
      default ->
          Arrays.stream(Layout.values())
              .filter(layout -> layout != Layout.CPU_ATTENTION && layout.wireName().equals(name))
              .findFirst();
    };
  }

  /** The layout that keeps K and V as this one does and has tokens outside heads. */
  private static Optional<Layout> tokensOutermost(Layout layout) {
    return switch (layout) {
      case HND -> Optional.of(Layout.NHD);
      case HND_SPLIT -> Optional.of(Layout.NHD_SPLIT);
      case HND_SEPARATE -> Optional.of(Layout.NHD_SEPARATE);
      case NHD,
          NHD_SPLIT,
          NHD_SEPARATE,
          CROSS_LAYER,
          CROSS_LAYER_LHN,
          CROSS_LAYER_LNH,
          HEAD_MAJOR,
          CPU_ATTENTION ->
          Optional.empty();
    };
  }

  private static Optional<Layout> packed(ConnectorRelease release, Layout layout) {
    return release.packsKeysAndValues() ? Optional.of(layout) : Optional.empty();
  }
}
