package dev.millrace.simulator;

/**
 * What an engine holds and has done, at one moment.
 *
 * @param openRequests requests that have begun and not ended
 * @param waitingRequests those of them that wait for blocks
 * @param heldBlocks blocks pinned for decode engines
 * @param usedBlocks blocks in use, pinned ones included
 * @param freeBlocks blocks not in use, cached ones included
 * @param openReads reads of remote blocks under way
 * @param bytesTransferred bytes read from other engines
 * @param runs runs of bytes read from other engines
 * @param transfers reads that have ended well, one per decode rank and prefill rank
 * @param failedTransfers hand-offs whose blocks could not be loaded
 * @param prefillTokensComputed prompt tokens computed here
 * @param promptTokensByExternalTransfer prompt tokens loaded from other engines
 * @param promptTokensByLocalCache prompt tokens found in this engine's prefix cache
 * @param expiredHandoffs hand-offs whose lease ended before all readers had come
 * @param releasedHandoffs hand-offs that ended because all readers had come
 * @param heartbeats leases that a decode engine has asked to extend
 */
public record EngineStats(
    int openRequests,
    int waitingRequests,
    int heldBlocks,
    int usedBlocks,
    int freeBlocks,
    int openReads,
    long bytesTransferred,
    long runs,
    long transfers,
    long failedTransfers,
    long prefillTokensComputed,
    long promptTokensByExternalTransfer,
    long promptTokensByLocalCache,
    long expiredHandoffs,
    long releasedHandoffs,
    long heartbeats) {

  /** Those of two data-parallel ranks together. */
  EngineStats plus(EngineStats other) {
    return new EngineStats(
        openRequests + other.openRequests,
        waitingRequests + other.waitingRequests,
        heldBlocks + other.heldBlocks,
        usedBlocks + other.usedBlocks,
        freeBlocks + other.freeBlocks,
        openReads + other.openReads,
        bytesTransferred + other.bytesTransferred,
        runs + other.runs,
        transfers + other.transfers,
        failedTransfers + other.failedTransfers,
        prefillTokensComputed + other.prefillTokensComputed,
        promptTokensByExternalTransfer + other.promptTokensByExternalTransfer,
        promptTokensByLocalCache + other.promptTokensByLocalCache,
        expiredHandoffs + other.expiredHandoffs,
        releasedHandoffs + other.releasedHandoffs,
        heartbeats + other.heartbeats);
  }
}
