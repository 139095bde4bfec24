%% Stands in front of the module of this name in Erlang's kernel while ejabberd runs below the peer specs. ejabberd finds
%% the addresses of a target through getaddrinfo/2, that is through the C library, which asks port 53 only. This one asks
%% the name server of ERL_INETRC, as ejabberd itself does for SRV records. Nothing else of `net` is used there.
-module(net).
-export([getaddrinfo/2]).

getaddrinfo(Host, Service) ->
    Port = list_to_integer(Service),
    case inet:getaddrs(Host, inet) of
        {ok, Addresses} ->
            {ok, [#{family => inet, type => stream, protocol => tcp,
                    addr => #{family => inet, addr => Address, port => Port}} || Address <- Addresses]};
        {error, _} = Error ->
            Error
    end.
