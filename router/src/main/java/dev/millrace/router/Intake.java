package dev.millrace.router;

import dev.millrace.router.http.Api;
import dev.millrace.router.http.Body;
import dev.millrace.router.http.Classified;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.FormModel;
import dev.millrace.router.http.KeptResponse;
import dev.millrace.router.http.Problem;
import io.vertx.core.http.HttpServerRequest;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** The first phases of an exchange: its whole body, bounded in size and time, and what it says. */
final class Intake {
  /** Long enough for the largest body over a slow line. */
  static final Duration RECEIVE_WITHIN = Duration.ofSeconds(60);

  private Intake() {}

  /**
   * Collects a request's body and reads it.
   *
   * @param asked of a kept response, whatever the body says; null: the body says what is asked
   * @param received called when the body is there, before it is read
   */
  static Mono<Classified> of(
      Lane lane,
      Api api,
      @Nullable KeptResponse asked,
      HttpServerRequest request,
      Runnable received) {
    long most = lane.house.table().listen().maxBodyBytes();
    Mono<Classified> classified =
        Mono.create(sink ->
            Body.collect(request, most)
                .onComplete(
                    body -> {
                      received.run();
                      sink.success(asked == null ? classify(api, request, body) : asked);
                    },
                    e -> sink.success(unread(e, most))));
    return classified.timeout(RECEIVE_WITHIN, Mono.fromSupplier(Intake::neverCame), lane.scheduler);
  }

  private static Classified classify(Api api, HttpServerRequest request, Body body) {
    if (request.getHeader("content-encoding") != null) {
      return new Classified.Refused(
          Problem.ofClient(
              415, "content_encoding_unsupported", "Send the body without Content-Encoding"));
    }
    String type = String.valueOf(request.getHeader("content-type"));
    return !api.generates() && FormModel.isForm(type)
        ? ClientRequest.opaque(
            api, body.bytes(), body.length(), FormModel.find(type, body.bytes(), body.length()))
        : ClientRequest.read(api, body.bytes(), body.length());
  }

  private static Classified unread(Throwable e, long mostBytes) {
    return new Classified.Refused(
        e instanceof Body.TooLarge
            ? Problem.ofClient(
                413,
                "body_too_large",
                "The body is larger than the " + mostBytes + " bytes that are accepted")
            : Problem.badRequest("body_incomplete", "The body did not arrive whole"));
  }

  private static Classified neverCame() {
    return new Classified.Refused(
        Problem.ofClient(
            408,
            "body_timeout",
            "The body did not arrive within " + RECEIVE_WITHIN.toSeconds() + " s"));
  }
}
