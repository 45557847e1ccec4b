package dev.millrace.router.http;

/**
 * How clients expect errors. In every form there is the object that OpenAI's clients look for, so
 * that those which know one form only find it.
 */
public enum ErrorForm {
  /** {@code {"error":{…}}}, in a stream as an event without a name. */
  OPENAI {
    @Override
    String body(String error) {
      return "{\"error\":" + error + "}";
    }

    @Override
    String event(String error) {
      return "data: " + body(error) + "\n\n";
    }
  },
  /** The same; in a stream as an event named {@code error}, which is not one of a response. */
  RESPONSES {
    @Override
    String body(String error) {
      return OPENAI.body(error);
    }

    @Override
    String event(String error) {
      return "event: error\ndata: " + ANTHROPIC.body(error) + "\n\n";
    }
  },
  /** {@code {"type":"error","error":{…}}}. */
  ANTHROPIC {
    @Override
    String body(String error) {
      return "{\"type\":\"error\",\"error\":" + error + "}";
    }

    @Override
    String event(String error) {
      return "event: error\ndata: " + body(error) + "\n\n";
    }
  };

  abstract String body(String error);

  abstract String event(String error);
}
