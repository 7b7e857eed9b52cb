// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The latest anchor statement of each log, kept in storage so that one state proof shows it.
/// @notice Nobody owns this contract and nobody can change it. A log's head only moves forward by one statement at a
/// time, each naming the one before it, and only the log's anchor key moves it. Anchors hold hashes and sizes only.
/// @dev Storage layout, relied on by verifiers that read state proofs; `base` is `keccak256(logId . uint256(0))`:
///
///   base + 0   key (20 bytes) | size (8) | seq (4)     from the most to the least significant byte
///   base + 1   statement (32)
///   base + 2   zero (4) | nextKeyFrom (8) | nextKey (20)
contract AnchorHead {
    struct Head {
        uint32 seq;         // statements so far; the latest one's number, from 1
        uint64 size;        // leaves of the log's tree in the latest statement
        address key;        // who may advance this head; zero: not registered
        bytes32 statement;  // SHA-256 of the latest statement's bytes
        address nextKey;    // proposed key; zero: none
        uint64 nextKeyFrom; // Unix time in seconds from which nextKey may take over
    }

    /// @notice How long a proposed key waits, in seconds, so that the holder of a stolen key is noticed in time.
    uint64 public constant KEY_DELAY = 7 days;

    /// @notice The head of each log. Slot 0.
    mapping(bytes32 logId => Head head) public heads;

    event Registered(bytes32 indexed logId, address indexed firstKey, bytes32 originHash);
    event Advanced(bytes32 indexed logId, uint32 seq, uint64 size, bytes32 root, bytes32 statement);
    event KeyProposed(bytes32 indexed logId, address indexed nextKey, uint64 nextKeyFrom);
    event KeyChanged(bytes32 indexed logId, address indexed key);

    error AlreadyRegistered();
    error WrongKey();
    error WrongSequence(uint32 stored);
    error WrongPrevious(bytes32 stored);
    error SmallerSize(uint64 stored);
    error NoKeyProposed();
    error TooEarly(uint64 nextKeyFrom);
    error ZeroKey();

    /// @notice Opens the head of the log whose id commits to `firstKey` and `originHash`. Anybody may, for anybody:
    /// only `firstKey` can advance it, so an id cannot be squatted.
    /// @param originHash SHA-256 of the log's origin line
    function register(address firstKey, bytes32 originHash) external returns (bytes32 logId) {
        if (firstKey == address(0)) revert ZeroKey();
        logId = keccak256(abi.encode(firstKey, originHash));
        Head storage head = heads[logId];
        if (head.key != address(0)) revert AlreadyRegistered();
        head.key = firstKey;
        emit Registered(logId, firstKey, originHash);
    }

    /// @notice Moves the head by one statement.
    /// @param seq its number, one more than the stored one
    /// @param previous the stored statement hash, zero before the first
    /// @param size leaves of the log's tree, at least the stored size
    /// @param root the tree's root hash; in the event only, the statement commits to it
    /// @param statement SHA-256 of the statement's bytes
    function advance(bytes32 logId, uint32 seq, bytes32 previous, uint64 size, bytes32 root, bytes32 statement)
        external
    {
        Head storage head = heads[logId];
        (uint32 storedSeq, uint64 storedSize, address key) = (head.seq, head.size, head.key);
        if (msg.sender != key) revert WrongKey();
        if (seq != storedSeq + 1) revert WrongSequence(storedSeq);
        bytes32 stored = head.statement;
        if (previous != stored) revert WrongPrevious(stored);
        if (size < storedSize) revert SmallerSize(storedSize);
        (head.seq, head.size, head.key) = (seq, size, key);
        head.statement = statement;
        emit Advanced(logId, seq, size, root, statement);
    }

    /// @notice Proposes the key that shall follow, or with zero takes a proposal back. A second proposal replaces the
    /// first and waits anew.
    function proposeKey(bytes32 logId, address nextKey) external {
        Head storage head = heads[logId];
        if (msg.sender != head.key) revert WrongKey();
        uint64 from = nextKey == address(0) ? 0 : uint64(block.timestamp) + KEY_DELAY;
        (head.nextKey, head.nextKeyFrom) = (nextKey, from);
        emit KeyProposed(logId, nextKey, from);
    }

    /// @notice Takes over as the log's key. Only the proposed key itself may, once its delay has passed.
    function acceptKey(bytes32 logId) external {
        Head storage head = heads[logId];
        (address nextKey, uint64 from) = (head.nextKey, head.nextKeyFrom);
        if (nextKey == address(0)) revert NoKeyProposed();
        if (msg.sender != nextKey) revert WrongKey();
        if (block.timestamp < from) revert TooEarly(from);
        head.key = nextKey;
        (head.nextKey, head.nextKeyFrom) = (address(0), 0);
        emit KeyChanged(logId, nextKey);
    }
}
