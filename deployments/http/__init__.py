"""The parts that both HTTP servers of the service share: connections, origins, error answers."""
