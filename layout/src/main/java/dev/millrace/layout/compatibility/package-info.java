/**
 * Do two engines fit, by which way, and if not, why.
 *
 * <p>An {@link dev.millrace.layout.compatibility.EngineProfile} is what is known of one engine,
 * fact by fact, each with its source; an operator's {@code --kv-transfer-config} is one of them, a
 * {@link dev.millrace.layout.compatibility.ConnectorConfig}, from which what is in effect is
 * derived.
 *
 * <pre>{@code
 * EngineProfile prefill = EngineProfile.named("http://10.0.0.1:8000")
 *     .declareGeometry(GeometryText.parse("tp=1,block=16"), "routes.yaml:9:16")
 *     .declare(Fact.CONNECTOR, ConnectorConfig.of(json), "routes.yaml:10:29")
 *     .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
 *     .build();                                       // derives what follows
 * prefill.disagreements();                            // where it is not what it is said to be
 *
 * Verdict verdict = Compatibility.check(prefill, decode, Way.ENGINE);
 * switch (verdict) {
 *   case Fits _ -> …
 *   case FitsWith(List<Note> notes) -> …              // something to know, or a canary to pass
 *   case Refused(List<Reason> reasons) -> …           // all of them, the most fundamental first
 *   case Unknown(List<Missing> missing) -> …          // what would have to be learnt
 * }
 * Compatibility.judge(prefill, decode, way).traffic(); // at once, after a canary, never
 * Compatibility.choose(prefill, decode, ways);         // the first way that fits: transfer auto
 * HashExplanation.of(prefill, decode);                 // which factor makes two hashes differ
 * }</pre>
 *
 * <p>{@link dev.millrace.layout.compatibility.Rule} lists what is judged, {@link
 * dev.millrace.layout.compatibility.HashFactor} what vLLM's hash is made of and which of it an
 * agent may stand in for. Rules change with the connector's version; the facts about that stand in
 * one place, {@code ConnectorRelease}. Who adds a rule adds a constant to {@code Rule}, at the
 * place where its reason shall be read, and the judgement to the class of its theme.
 */
@NullMarked
package dev.millrace.layout.compatibility;

import org.jspecify.annotations.NullMarked;
