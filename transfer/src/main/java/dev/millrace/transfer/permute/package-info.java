/**
 * Re-laying blocks that are in memory: copies from one geometry to another.
 *
 * <p>{@code layout} says what moves, as loop nests ({@link dev.millrace.layout.NestCursor}); this
 * package moves it. Three shapes of nest matter. <em>Long rows</em>, such as whole blocks, are what
 * memory copying is made for. <em>Short rows</em>, such as one head of one token, are copied word
 * by word, as a call for each would cost more than its bytes. <em>Transposed elements</em>, such as
 * the keys of CPU attention, whose rows are one element long, are taken in square tiles: as many
 * elements as a word holds from as many words, so that no memory is touched for single elements.
 *
 * <pre>
 * NestCopy   checks each nest against both memories, and chooses
 * Rows       rows at strides
 * Tiles      square tiles of elements, in registers
 * Words      the door to memory: absolute addresses, checked beforehand
 * </pre>
 */
@NullMarked
package dev.millrace.transfer.permute;

import org.jspecify.annotations.NullMarked;
