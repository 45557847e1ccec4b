package dev.millrace.transfer.sidechannel;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

final class HandshakeCodecTest {
  static final List<String> RECORDINGS = Recordings.ALL;

  @ParameterizedTest
  @FieldSource("RECORDINGS")
  void encode_whatWasDecoded_isTheRecording(String recording) {
    byte[] recorded = Recordings.bytes(recording, "reply0");

    Handshake handshake = HandshakeCodec.decodeHandshake(recorded);
    AgentMetadata metadata =
        HandshakeCodec.decodeMetadata(handshake.metadata(), ConnectorVersion.V14);

    Blob again = HandshakeCodec.encode(metadata, ConnectorVersion.V14);
    assertThat(again).isEqualTo(handshake.metadata());
    assertThat(HandshakeCodec.encode(new Handshake(handshake.compatibilityHash(), again)))
        .isEqualTo(recorded);
  }

  @Test
  void decode_recording_hasItsValues() {
    Handshake handshake = Recordings.handshake(Recordings.TP1);
    AgentMetadata metadata = Recordings.metadata(Recordings.TP1);

    assertThat(handshake.compatibilityHash())
        .isEqualTo("d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d");
    assertThat(metadata.engineId()).isEqualTo("0c2f1ed7-0f48-4de5-911f-c032ef4bc65a");
    assertThat(metadata.agentMetadata().size()).isEqualTo(486);
    assertThat(new String(metadata.agentMetadata().bytes(), 0, 16, US_ASCII))
        .isEqualTo("nixlSerDes|Agent");
    assertThat(metadata.kvCachesBaseAddr())
        .containsExactly(0x7f26dbfff040L, 0x7f26dcfff040L, 0x7f26ddfff040L, 0x7f26defff040L);
    assertThat(metadata.numBlocks()).isEqualTo(1024);
    assertThat(metadata.blockLens()).containsExactly(16384L, 16384L, 16384L, 16384L);
    assertThat(metadata.blockStrides()).isEqualTo(metadata.blockLens());
    assertThat(metadata.kvCacheLayout()).isEqualTo("LBHNC");
    assertThat(metadata.blockSize()).isEqualTo(32);
    assertThat(metadata.attnBackendName()).isEqualTo("CPU_ATTN");
    assertThat(metadata.physicalBlocksPerLogicalKvBlock()).isEqualTo(1);
    assertThat(metadata.regionNumBlocks()).contains(List.of(1024, 1024, 1024, 1024));
    assertThat(metadata.regionGroupIds()).contains(List.of(0, 0, 0, 0));
    assertThat(metadata.regionNames().orElseThrow()).contains("model.layers.3.self_attn.attn");
    assertThat(metadata.regionMemTypes()).contains(List.of("DRAM", "DRAM", "DRAM", "DRAM"));
    assertThat(metadata.dcpSize()).isEqualTo(1);
    assertThat(metadata.pleBlockLen()).isEmpty();
  }

  @Test
  void decode_twoGroups_regionsAreShared() {
    assertThat(Recordings.metadata(Recordings.TWO_GROUPS).regionGroupIds())
        .contains(List.of(-1, -1));
  }

  @ParameterizedTest
  @FieldSource("RECORDINGS")
  void clock_recorded_isTheSameWhenEncodedAgain(String recording) {
    byte[] recorded = Recordings.bytes(recording, "reply1");

    double seconds = HandshakeCodec.decodeClock(recorded);

    assertThat(seconds).isBetween(1000.0, 100_000.0);
    assertThat(HandshakeCodec.encodeClock(seconds)).isEqualTo(recorded);
  }

  @Test
  void request_isTheRecording() {
    assertThat(HandshakeCodec.encodeRequest(new RankId(0, 0), ConnectorVersion.V14))
        .isEqualTo(Recordings.bytes(Recordings.TP1, "request"));
    assertThat(HandshakeCodec.encodeRequest(new RankId(0, 1), ConnectorVersion.V14))
        .isEqualTo(Recordings.bytes(Recordings.TP2_RANK1, "request"));
  }

  @Test
  void request_ofOldVersions_hasTwoElements() {
    byte[] request = HandshakeCodec.encodeRequest(new RankId(0, 3), ConnectorVersion.V4);

    assertThat(request).isEqualTo(HexFormat.of().parseHex("92c40c6765745f6d6574615f6d736703"));
    assertThat(HandshakeCodec.decodeRequest(request)).isEqualTo(new RankId(0, 3));
  }

  @ParameterizedTest
  @EnumSource(ConnectorVersion.class)
  void request_decoded_isTheRankAskedFor(ConnectorVersion version) {
    RankId rank = new RankId(0, 200);

    assertThat(HandshakeCodec.decodeRequest(HandshakeCodec.encodeRequest(rank, version)))
        .isEqualTo(rank);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "c0",
        "90",
        "91c40c6765745f6d6574615f6d7367",
        "94c40c6765745f6d6574615f6d7367000000",
        "93ac6765745f6d6574615f6d73670000",
        "93c40c6765745f6d6574615f6d736600 00",
        "93c40c6765745f6d6574615f6d7367ff00",
        "93c40c6765745f6d6574615f6d736700",
        "93c40c6765745f6d6574615f6d7367000000",
        "93c6ffffffff6765745f6d6574615f6d73670000",
        "ddffffffff"
      })
  void request_thatIsNone_isRefused(String hex) {
    byte[] request = HexFormat.of().parseHex(hex.replace(" ", ""));

    assertThatThrownBy(() -> HandshakeCodec.decodeRequest(request))
        .isInstanceOf(MalformedHandshake.class)
        .hasMessageContaining("request");
  }

  /** Made with msgspec from the dataclass of connector versions 3 to 7. */
  private static final String OLD =
      "8ba9656e67696e655f6964a26531ae6167656e745f6d65746164617461c4020102b36b765f6361636865735f62"
          + "6173655f6164647291cf00007f544a44c000a96465766963655f696400aa6e756d5f626c6f636b730a"
          + "aa626c6f636b5f6c656e7391ce00010000af6b765f63616368655f6c61796f7574a3484e44"
          + "aa626c6f636b5f73697a6510a973736d5f73697a6573920000b16174746e5f6261636b656e645f6e616d65"
          + "aa464c4153485f4154544ed924706879736963616c5f626c6f636b735f7065725f6c6f676963616c5f6b76"
          + "5f626c6f636b01";

  @ParameterizedTest
  @EnumSource(names = {"V3", "V4", "V5", "V6", "V7"})
  void decode_oldSchema_meansWhatItMeant(ConnectorVersion version) {
    Blob encoded = Blob.of(HexFormat.of().parseHex(OLD));

    AgentMetadata metadata = HandshakeCodec.decodeMetadata(encoded, version);

    assertThat(metadata)
        .isEqualTo(
            new AgentMetadata(
                "e1",
                Blob.of((byte) 1, (byte) 2),
                List.of(140000000000000L),
                0,
                10,
                List.of(65536L),
                List.of(65536L),
                "HND",
                16,
                AgentMetadata.SsmSizes.NONE,
                "FLASH_ATTN",
                1,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                1,
                1,
                Optional.empty(),
                AgentMetadata.NO_MEMBERS,
                AgentMetadata.NO_LAYOUTS));
    assertThat(HandshakeCodec.encode(metadata, version)).isEqualTo(encoded);
  }

  @Test
  void decode_requiredKeyMissing_namesIt() {
    Blob old = Blob.of(HexFormat.of().parseHex(OLD));

    assertThatThrownBy(() -> HandshakeCodec.decodeMetadata(old, ConnectorVersion.V14))
        .isInstanceOf(MalformedHandshake.class)
        .hasMessageContaining("block_strides")
        .hasMessageContaining("14");
  }

  @Test
  void decode_unknownKeys_areIgnored() {
    // {"compatibility_hash": "h", "new": [1, {2: 3}], "agent_metadata_bytes": b"x"}
    byte[] payload =
        HexFormat.of()
            .parseHex(
                "83b2636f6d7061746962696c6974795f68617368a168a36e6577920181020 3".replace(" ", "")
                    + "b46167656e745f6d657461646174615f6279746573c40178");

    assertThat(HandshakeCodec.decodeHandshake(payload))
        .isEqualTo(new Handshake("h", Blob.of((byte) 'x')));
  }

  @Test
  void decode_addressAbove63Bits_staysUnsigned() {
    AgentMetadata low = Recordings.metadata(Recordings.TP1);
    AgentMetadata high =
        new AgentMetadata(
            low.engineId(),
            low.agentMetadata(),
            List.of(0xffff_ffff_0000_0000L, Long.MIN_VALUE, Long.MAX_VALUE, 0L),
            low.deviceId(),
            low.numBlocks(),
            low.blockLens(),
            low.blockStrides(),
            low.kvCacheLayout(),
            low.blockSize(),
            low.ssmSizes(),
            low.attnBackendName(),
            low.physicalBlocksPerLogicalKvBlock(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            2,
            3,
            Optional.of(5L),
            low.regionMembers(),
            low.packedMemberLayouts());

    Blob encoded = HandshakeCodec.encode(high, ConnectorVersion.V14);

    assertThat(HandshakeCodec.decodeMetadata(encoded, ConnectorVersion.V14)).isEqualTo(high);
  }

  @Test
  void decode_cutAnywhere_isRefused() {
    byte[] whole = Recordings.bytes(Recordings.TP1, "reply0");
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> HandshakeCodec.decodeHandshake(cut))
          .isInstanceOf(MalformedHandshake.class);
    }
  }

  @Test
  void decode_metadataCutAnywhere_isRefused() {
    byte[] whole = Recordings.handshake(Recordings.TP1).metadata().bytes();
    for (int length = 0; length < whole.length; length++) {
      Blob cut = Blob.of(Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> HandshakeCodec.decodeMetadata(cut, ConnectorVersion.V14))
          .isInstanceOf(MalformedHandshake.class);
    }
  }

  @Test
  void version_unknownNumber_namesTheKnownOnes() {
    assertThat(ConnectorVersion.of(14)).isEqualTo(ConnectorVersion.V14);
    assertThatThrownBy(() -> ConnectorVersion.of(99))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("99")
        .hasMessageContaining("V14");
  }

  @Test
  void schemas_growWithTheVersions() {
    AgentMetadata recorded = Recordings.metadata(Recordings.TP1);
    Map<ConnectorVersion, Integer> keys = new EnumMap<>(ConnectorVersion.class);
    for (ConnectorVersion version : ConnectorVersion.values()) {
      keys.put(version, version.fields().size());
      AgentMetadata read =
          HandshakeCodec.decodeMetadata(HandshakeCodec.encode(recorded, version), version);
      assertThat(read.kvCachesBaseAddr()).isEqualTo(recorded.kvCachesBaseAddr());
      assertThat(read.regionNames().isPresent()).isEqualTo(version.number() >= 11);
    }

    assertThat(keys.values()).containsExactly(10, 11, 11, 11, 11, 11, 14, 18, 20, 21);
  }
}
