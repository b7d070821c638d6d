/* The header alone, twice: compiled in every standard it promises. */
#include <vixp2p.h>
#include <vixp2p.h>

typedef int vixp2p_header_is_complete[sizeof(vixp2p_node_options) >= VIXP2P_NODE_OPTIONS_SIZE_MIN ? 1 : -1];
