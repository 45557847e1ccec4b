package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.router.http.ClientRequest.AtStop;
import dev.millrace.router.http.ClientRequest.TokenReuse;
import io.vertx.core.buffer.Buffer;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What engines get of a client's body: its bytes, but for the spans that the router owns. */
final class ClientRequestTest {
  private static final String ASK =
      "{\"do_remote_decode\":true,\"do_remote_prefill\":false,\"remote_engine_id\":null,"
          + "\"remote_block_ids\":null,\"remote_host\":null,\"remote_port\":null}";

  private static ClientRequest read(String body) {
    return readAs(Api.CHAT_COMPLETIONS, body);
  }

  private static ClientRequest readAs(Api api, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return (ClientRequest) ClientRequest.read(api, bytes, bytes.length);
  }

  private static void assertBodies(Api api, String client, String prefill, String decode) {
    byte[] bytes = client.getBytes(StandardCharsets.UTF_8);
    assertBodies((ClientRequest) ClientRequest.read(api, bytes, bytes.length), prefill, decode);
  }

  private static void assertBodies(ClientRequest request, String prefill, String decode) {
    assertThat(request.course()).isEqualTo(new ClientRequest.Course.Disaggregated());
    assertThat(request.prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).toString())
        .isEqualTo(prefill.replace("ASK", ASK));
    assertThat(request.decodeBody(Buffer.buffer("{\"r\" : 1}"), null, TokenReuse.TEXTS).toString())
        .isEqualTo(decode.replace("GIVEN", "{\"r\" : 1}"));
  }

  @Test
  void aliasOfAModel_isReplacedInEveryBodyAndIsTheClientsStill() {
    ClientRequest asked =
        read("{ \"messages\":[], \"model\" : \"alias\",\"n\":2}").askedAs("a \"b\"");

    assertThat(asked.model()).isEqualTo("alias");
    assertThat(asked.decodeBody().toString())
        .isEqualTo("{ \"messages\":[], \"model\" : \"a \\\"b\\\"\",\"n\":2}");
    assertThat(asked.course())
        .isInstanceOfSatisfying(
            ClientRequest.Course.Primed.class,
            course ->
                assertThat(
                        course
                            .prompts()
                            .getFirst()
                            .primingBody(Buffer.buffer("{\"r\":1}"), null, TokenReuse.TEXTS)
                            .toString())
                    .contains("\"model\" : \"a \\\"b\\\"\"")
                    .contains("{\"r\":1}"));
    assertBodies(
        read("{\"model\":\"alias\",\"messages\":[]}").askedAs("m"),
        "{\"model\":\"m\",\"messages\":[],\"max_tokens\":1,\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"messages\":[],\"kv_transfer_params\":GIVEN}");
  }

  @Test
  void aliasInAForm_isReplacedWhereItStands() {
    String form =
        String.join(
            "\r\n",
            "--b",
            "content-disposition: form-data; name=\"model\"",
            "",
            "alias",
            "--b",
            "content-disposition: form-data; name=\"prompt\"",
            "",
            "alias",
            "--b--",
            "");
    byte[] bytes = form.getBytes(StandardCharsets.UTF_8);
    ClientRequest request =
        ClientRequest.opaque(
            Api.TRANSCRIPTIONS,
            bytes,
            bytes.length,
            FormModel.find("multipart/form-data; boundary=b", bytes, bytes.length));

    assertThat(request.model()).isEqualTo("alias");
    assertThat(request.decodeBody().toString()).isEqualTo(form);
    assertThat(request.askedAs("a \"b\"").decodeBody().toString())
        .isEqualTo(form.replaceFirst("alias", "a \"b\""));
  }

  @Test
  void response_isCappedByItsOwnMember() {
    assertBodies(
        Api.RESPONSES,
        "{\"model\":\"m\",\"input\":\"a\",\"max_tokens\":5,\"store\":true,\"truncation\":\"disabled\",\"stream\":true}",
        "{\"model\":\"m\",\"input\":\"a\",\"max_tokens\":1,\"store\":false,\"truncation\":\"disabled\",\"stream\":false,\"max_output_tokens\":1,\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"input\":\"a\",\"max_tokens\":5,\"store\":true,\"truncation\":\"disabled\",\"stream\":true,\"kv_transfer_params\":GIVEN}");
    assertBodies(
        Api.RESPONSES,
        "{\"max_output_tokens\":null,\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"parameters\":{\"type\":\"object\"}}]}",
        "{\"max_output_tokens\":1,\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"parameters\":{\"type\":\"object\"}}],\"kv_transfer_params\":ASK}",
        "{\"max_output_tokens\":null,\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"parameters\":{\"type\":\"object\"}}],\"kv_transfer_params\":GIVEN}");
  }

  @Test
  void chat_namesItsTokensWithTheBlocks_whereTheyAreTaken() {
    ClientRequest chat = read("{\"model\":\"m\",\"kv_transfer_params\":null,\"messages\":[]}");
    Buffer parameters = Buffer.buffer("{\"r\" : 1}");
    Buffer ids = Buffer.buffer("[1, 2]");

    assertThat(chat.prefillBody(AtStop.HANDS_OVER, TokenReuse.CHATS_TOO).toString())
        .isEqualTo(
            "{\"model\":\"m\",\"kv_transfer_params\":ASK,\"messages\":[],\"max_tokens\":1,\"return_token_ids\":true}"
                .replace("ASK", ASK));
    assertThat(chat.decodeBody(parameters, ids, TokenReuse.CHATS_TOO).toString())
        .isEqualTo(
            "{\"model\":\"m\",\"kv_transfer_params\":{\"prompt_token_ids\":[1, 2],\"r\" : 1},\"messages\":[]}");
    assertThat(chat.decodeBody(parameters, ids, TokenReuse.TEXTS).toString())
        .isEqualTo("{\"model\":\"m\",\"kv_transfer_params\":{\"r\" : 1},\"messages\":[]}");
    assertThat(chat.decodeBody(parameters, null, TokenReuse.CHATS_TOO).toString())
        .isEqualTo("{\"model\":\"m\",\"kv_transfer_params\":{\"r\" : 1},\"messages\":[]}");
  }

  @Test
  void chatWithNoRoomForParameters_getsThemAtItsEnd() {
    Buffer body =
        read("{\"model\":\"m\"}")
            .decodeBody(Buffer.buffer("{\"r\":1}"), Buffer.buffer("[7]"), TokenReuse.CHATS_TOO);

    assertThat(body.toString())
        .isEqualTo("{\"model\":\"m\",\"kv_transfer_params\":{\"prompt_token_ids\":[7],\"r\":1}}");
  }

  @Test
  void message_isCappedOnlyWhereItMustBe() {
    assertBodies(
        Api.MESSAGES,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[],\"max_output_tokens\":3}",
        "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[],\"max_output_tokens\":3,\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[],\"max_output_tokens\":3,\"kv_transfer_params\":GIVEN}");
    assertBodies(
        Api.MESSAGES,
        "{\"model\":\"m\",\"messages\":[]}",
        "{\"model\":\"m\",\"messages\":[],\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"messages\":[],\"kv_transfer_params\":GIVEN}");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"previous_response_id\":\"resp_1\"",
        "\"background\":true",
        "\"truncation\":\"auto\"",
        "\"tools\":[{\"type\":\"function\"},{\"name\":\"x\",\"type\":\"mcp\"}]",
        "\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\"}}]",
      })
  void responseThatOneEngineKeepsOrContinues_isForIt(String member) {
    byte[] bytes = ("{\"model\":\"m\"," + member + "}").getBytes(StandardCharsets.UTF_8);
    ClientRequest request = (ClientRequest) ClientRequest.read(Api.RESPONSES, bytes, bytes.length);
    assertThat(request.course()).isInstanceOf(ClientRequest.Course.Alone.class);
    assertThat(
            ((ClientRequest) ClientRequest.read(Api.CHAT_COMPLETIONS, bytes, bytes.length))
                .course())
        .isEqualTo(new ClientRequest.Course.Disaggregated());
  }

  private static Problem refused(byte[] bytes) {
    Classified classified = ClientRequest.read(Api.CHAT_COMPLETIONS, bytes, bytes.length);
    return ((Classified.Refused) classified).problem();
  }

  private static Problem refused(String body) {
    return refused(body.getBytes(StandardCharsets.UTF_8));
  }

  private static void assertBodies(String client, String prefill, String decode) {
    ClientRequest request = read(client);
    assertThat(request.prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).toString())
        .isEqualTo(prefill.replace("ASK", ASK));
    assertThat(request.decodeBody(Buffer.buffer("{\"r\" : 1}"), null, TokenReuse.TEXTS).toString())
        .isEqualTo(decode.replace("GIVEN", "{\"r\" : 1}"));
  }

  @Test
  void plainBody_getsCapAndParametersAtItsEnd() {
    assertBodies(
        "{\"model\":\"m\"}",
        "{\"model\":\"m\",\"max_tokens\":1,\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"kv_transfer_params\":GIVEN}");
  }

  @Test
  void oddSpelling_staysAsItIs() {
    String odd =
        "\t{ \"z\" : 1.0E+2 ,\n\"model\":\"m\\u00e9\\/\" , \"a\":[ -0.10e-3,\"\\ud83d\\ude00 😀\" ,{} ], "
            + "\"b\" :{\"stream\":true,\"n\":7} ,\"max_tokens\" :\t9  ,\"big\":123456789012345678901234567890}\r\n";
    assertBodies(
        odd,
        odd.replace("\t9  ", "\t1  ").replace("890}", "890,\"kv_transfer_params\":ASK}"),
        odd.replace("890}", "890,\"kv_transfer_params\":GIVEN}"));
  }

  @Test
  void everyTouchedMember_isRewrittenInItsPlace() {
    assertBodies(
        "{\"stream\":true,\"model\":\"m\",\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
            + "\"max_completion_tokens\":8,\"min_tokens\":2,\"min_completion_tokens\":2,\"n\":3,\"best_of\":4,"
            + "\"use_beam_search\":true,\"kv_transfer_params\":{\"x\":1},\"temperature\":0}",
        "{\"stream\":false,\"model\":\"m\",\"max_tokens\":1,\"max_completion_tokens\":1,"
            + "\"kv_transfer_params\":ASK,\"temperature\":0}",
        "{\"stream\":true,\"model\":\"m\",\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
            + "\"max_completion_tokens\":8,\"min_tokens\":2,\"min_completion_tokens\":2,\"n\":3,\"best_of\":4,"
            + "\"use_beam_search\":true,\"kv_transfer_params\":GIVEN,\"temperature\":0}");
  }

  @Test
  void removedMembers_takeTheirCommasAlongWhereverTheyStand() {
    assertBodies(
        "{ \"n\":1 , \"best_of\":2,\"model\":\"m\" , \"min_tokens\":0 }",
        "{  \"model\":\"m\"  ,\"max_tokens\":1,\"kv_transfer_params\":ASK}",
        "{ \"n\":1 , \"best_of\":2,\"model\":\"m\" , \"min_tokens\":0 ,\"kv_transfer_params\":GIVEN}");
  }

  @Test
  void onlyMaxCompletionTokens_isTheCap() {
    assertBodies(
        "{\"model\":\"m\",\"max_completion_tokens\":null}",
        "{\"model\":\"m\",\"max_completion_tokens\":1,\"kv_transfer_params\":ASK}",
        "{\"model\":\"m\",\"max_completion_tokens\":null,\"kv_transfer_params\":GIVEN}");
  }

  @Test
  void escapedName_isTheSameMember() {
    assertBodies(
        "{\"model\":\"m\",\"str\\u0065am\":true,\"kv\\u005ftransfer_params\":{\"evil\":1}}",
        "{\"model\":\"m\",\"str\\u0065am\":false,\"kv\\u005ftransfer_params\":ASK,\"max_tokens\":1}",
        "{\"model\":\"m\",\"str\\u0065am\":true,\"kv\\u005ftransfer_params\":GIVEN}");
  }

  @Test
  void clientsInternalMembers_reachNoEngine() {
    String client =
        "{\"bootstrap_room\":1,\"model\":\"m\",\"ec_transfer_params\":{},\"data_parallel_rank\":0,"
            + "\"bootstrap_host\":\"h\",\"bootstrap_port\":1,\"kv_transfer_params\":{\"evil\":1}}";
    assertBodies(
        client,
        "{\"model\":\"m\",\"kv_transfer_params\":ASK,\"max_tokens\":1}",
        "{\"model\":\"m\",\"kv_transfer_params\":GIVEN}");
    assertThat(read(client).decodeBody().toString()).isEqualTo("{\"model\":\"m\"}");
  }

  @Test
  void largeBody_isSplicedTheSameWay() {
    String text = "é\\n".repeat(40_000);
    assertBodies(
        "{\"stream\":true,\"messages\":\"" + text + "\",\"model\":\"m\"}",
        "{\"stream\":false,\"messages\":\""
            + text
            + "\",\"model\":\"m\",\"max_tokens\":1,\"kv_transfer_params\":ASK}",
        "{\"stream\":true,\"messages\":\""
            + text
            + "\",\"model\":\"m\",\"kv_transfer_params\":GIVEN}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "{\"model\":\"m\",\"n\":1,\"n\":2} | duplicate_member",
        "{\"model\":\"m\",\"kv_transfer_params\":1,\"kv\\u005ftransfer_params\":2} | duplicate_member",
        "{\"model\":1} | invalid_type",
        "{\"model\":null} | invalid_type",
        "{\"model\":\"m\",\"stream\":1} | invalid_type",
        "{\"model\":\"m\",\"stream\":\"true\"} | invalid_type",
        "{\"model\":\"m\",\"max_tokens\":1e0} | invalid_type",
        "{\"model\":\"m\",\"max_tokens\":\"1\"} | invalid_type",
        "{\"model\":\"m\",\"n\":[1]} | invalid_type",
        "{} | model_missing",
        "{\"model\":\"m\"}x | invalid_json",
        "{\"model\":\"m\"}{} | invalid_json",
        "{\"model\":\"m\",} | invalid_json",
        "{\"model\":\"m\" | invalid_json",
        "{\"model\":\"m | invalid_json",
        "{'model':'m'} | invalid_json",
        "{\"model\":\"m\",\"a\":NaN} | invalid_json",
        "{\"model\":\"m\",\"a\":01} | invalid_json",
        "[] | invalid_json",
        "\"m\" | invalid_json",
        "\uFEFF{\"model\":\"m\"} | invalid_json",
      })
  void unservableBody_isRefusedByName(String body, String slug) {
    assertThat(refused(body).slug()).isEqualTo(slug);
    assertThat(refused(body).status()).isEqualTo(400);
  }

  @ParameterizedTest
  @ValueSource(strings = {"UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"})
  void otherEncodings_areRefused(String charset) {
    byte[] bytes = "{\"model\":\"m\"}".getBytes(java.nio.charset.Charset.forName(charset));
    assertThat(refused(bytes).slug()).isEqualTo("invalid_json");
  }

  @Test
  void deepNesting_isRefused() {
    assertThat(refused("{\"model\":\"m\",\"a\":" + "[".repeat(100_000)).slug())
        .isEqualTo("invalid_json");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"a\"", "[1,2,3]", "[\"a\"]", "[[1,2]]", "[]", "null"})
  void onePrompt_isFineInEachForm(String prompt) {
    assertThat(read("{\"model\":\"m\",\"prompt\":" + prompt + "}").course())
        .isEqualTo(new ClientRequest.Course.Disaggregated());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"prompt\":[1,[2]]",
        "\"prompt\":\"a\",\"prompt_embeds\":\"AA==\"",
        "\"prompt_embeds\":[\"AA==\",\"AA==\"]",
        "\"n\":0",
        "\"best_of\":12345678901234567890",
        "\"prompt_logprobs\":0,\"stream\":true",
        "\"echo\":true",
        "\"truncate_prompt_tokens\":-1",
        "\"truncate_prompt_tokens\":\"-1\"",
        "\"truncate_prompt_tokens\":-1.0",
      })
  void requestForMoreThanOneSequence_isForADecodeWorkerAlone(String member) {
    assertThat(read("{\"model\":\"m\"," + member + "}").course())
        .isInstanceOf(ClientRequest.Course.Alone.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          RESPONSES        | "input":"a"              | true
          RESPONSES        | "store":true             | true
          RESPONSES        | "store":false            | false
          RESPONSES        | "store":null             | false
          CHAT_COMPLETIONS | "store":true             | false
          """)
  void response_isKeptUnlessItSaysOtherwise(Api api, String member, boolean kept) {
    assertThat(readAs(api, "{\"model\":\"m\"," + member + "}").isKept()).isEqualTo(kept);
  }

  @Test
  void previousResponse_isThatOfResponsesAlone() {
    String body = "{\"model\":\"m\",\"previous_response_id\":\"r\\u0031\"}";

    assertThat(readAs(Api.RESPONSES, body).previousResponse()).contains("r1");
    assertThat(readAs(Api.CHAT_COMPLETIONS, body).previousResponse()).isEmpty();
    assertThat(readAs(Api.RESPONSES, "{\"model\":\"m\"}").previousResponse()).isEmpty();
    assertThat(
            readAs(Api.RESPONSES, "{\"model\":\"m\",\"previous_response_id\":7}")
                .previousResponse())
        .isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"n\":1,\"best_of\":null,\"use_beam_search\":false,\"echo\":false,\"prompt_logprobs\":null",
        "\"truncate_prompt_tokens\":100,\"prompt_embeds\":\"AA==\"",
        "\"logprobs\":3,\"top_logprobs\":2",
      })
  void ordinaryRequest_isForBoth(String members) {
    assertThat(read("{\"model\":\"m\"," + members + "}").course())
        .isEqualTo(new ClientRequest.Course.Disaggregated());
  }

  @Test
  void isAnswered_nothingHoldsItsBytes_alsoUnderAnotherName() throws Exception {
    byte[] body =
        "{\"model\":\"m\",\"prompt\":\"x\",\"stream\":true}".getBytes(StandardCharsets.UTF_8);
    WeakReference<byte[]> held = new WeakReference<>(body);
    ClientRequest request = (ClientRequest) ClientRequest.read(Api.COMPLETIONS, body, body.length);
    body = null;
    ClientRequest renamed = request.askedAs("other");

    renamed.isAnswered();

    for (int i = 0; i < 100 && held.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertThat(held.get()).isNull();
    assertThat(request.prompt().bytes()).isEqualTo(3);
    assertThat(renamed.model()).isEqualTo("m");
  }
}
