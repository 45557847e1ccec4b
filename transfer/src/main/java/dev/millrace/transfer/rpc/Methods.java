package dev.millrace.transfer.rpc;

import com.google.protobuf.Message;
import dev.millrace.transfer.rpc.v1.BridgeReply;
import dev.millrace.transfer.rpc.v1.BridgeRequest;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.DescribeRequest;
import dev.millrace.transfer.rpc.v1.ExtendReply;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.MeasureReply;
import dev.millrace.transfer.rpc.v1.MeasureRequest;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.RelayReply;
import dev.millrace.transfer.rpc.v1.RelayRequest;
import dev.millrace.transfer.rpc.v1.ReleaseReply;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import io.vertx.grpc.common.GrpcMessageDecoder;
import io.vertx.grpc.common.GrpcMessageEncoder;
import io.vertx.grpc.common.ServiceMethod;
import io.vertx.grpc.common.ServiceName;

/**
 * The service's methods.
 *
 * @param <Q> what is asked
 * @param <A> what is answered
 * @param question an empty one
 * @param answer an empty one
 */
record Methods<Q extends Message, A extends Message>(String name, Q question, A answer) {
  static final ServiceName SERVICE = ServiceName.create("millrace.transfer.v1.KvTransfer");

  static final Methods<DescribeRequest, DescribeReply> DESCRIBE =
      new Methods<>(
          "Describe", DescribeRequest.getDefaultInstance(), DescribeReply.getDefaultInstance());
  static final Methods<ReadRequest, ReadReply> READ =
      new Methods<>("Read", ReadRequest.getDefaultInstance(), ReadReply.getDefaultInstance());
  static final Methods<BridgeRequest, BridgeReply> BRIDGE =
      new Methods<>("Bridge", BridgeRequest.getDefaultInstance(), BridgeReply.getDefaultInstance());
  static final Methods<RelayRequest, RelayReply> RELAY =
      new Methods<>("Relay", RelayRequest.getDefaultInstance(), RelayReply.getDefaultInstance());
  static final Methods<ExtendRequest, ExtendReply> EXTEND =
      new Methods<>("Extend", ExtendRequest.getDefaultInstance(), ExtendReply.getDefaultInstance());
  static final Methods<ReleaseRequest, ReleaseReply> RELEASE =
      new Methods<>(
          "Release", ReleaseRequest.getDefaultInstance(), ReleaseReply.getDefaultInstance());
  static final Methods<MeasureRequest, MeasureReply> MEASURE =
      new Methods<>(
          "Measure", MeasureRequest.getDefaultInstance(), MeasureReply.getDefaultInstance());

  /** As a server has it. */
  ServiceMethod<Q, A> served() {
    return ServiceMethod.server(
        SERVICE, name, GrpcMessageEncoder.encoder(), GrpcMessageDecoder.decoder(question));
  }

  /** As a client has it. */
  ServiceMethod<A, Q> called() {
    return ServiceMethod.client(
        SERVICE, name, GrpcMessageEncoder.encoder(), GrpcMessageDecoder.decoder(answer));
  }
}
